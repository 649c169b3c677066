//! A server without any library for OCPP: fastwebsockets on hyper, and `serde_json` values. It parses a CALL and
//! answers it; it validates nothing. Run: `plain PORT`

use std::time::{SystemTime, UNIX_EPOCH};

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The frame for one CALL; `None` for what is none.
fn answer(frame: &[u8]) -> Option<String> {
    let call: Value = serde_json::from_slice(frame).ok()?;
    let (id, action, _payload) = (call.get(1)?, call.get(2)?.as_str()?, call.get(3)?.as_object()?);
    let result = match action {
        "Heartbeat" => json!({"currentTime": SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()}),
        _ => json!({}),
    };
    Some(json!([3, id, result]).to_string())
}

async fn converse(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text => {
                let Some(out) = answer(&frame.payload) else { return Ok(()) };
                socket.write_frame(Frame::text(Payload::Owned(out.into_bytes()))).await?;
            }
            _ => {}
        }
    }
}

async fn accept(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (mut response, upgraded) = upgrade(&mut request)?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("ocpp1.6"));
    tokio::spawn(converse(upgraded));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("plain PORT");
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(accept))
            .with_upgrades();
        tokio::spawn(serving);
    }
}
