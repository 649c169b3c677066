//! TLS of the chargers: each has a store of its own, so that it resumes its own session, as a real one does.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::arguments::{Arguments, TlsVersion};

/// TLS sessions of one charger after the other.
pub struct Security {
    template: ClientConfig,
    resume: bool,
    /// By the charger's index.
    configurations: Vec<Arc<ClientConfig>>,
}

impl Security {
    /// None: the chargers speak plain text.
    pub fn new(arguments: &Arguments) -> io::Result<Option<Self>> {
        let Some(file) = &arguments.tls_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(io::Error::other)? {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let version = match arguments.tls_version {
            TlsVersion::V12 => &TLS12,
            TlsVersion::V13 => &TLS13,
        };
        let template = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(Security { template, resume: arguments.tls_resume, configurations: Vec::new() }))
    }

    /// The next session of charger `index`; their first ones come in order.
    pub fn session(&mut self, index: usize) -> io::Result<Box<ClientConnection>> {
        if index == self.configurations.len() {
            let mut configuration = self.template.clone();
            configuration.resumption =
                if self.resume { Resumption::in_memory_sessions(2) } else { Resumption::disabled() };
            self.configurations.push(Arc::new(configuration));
        }
        let server = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(&self.configurations[index]), server);
        session.map(Box::new).map_err(io::Error::other)
    }
}
