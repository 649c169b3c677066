//! A central system on ocpp-kit as its example shows one, with its default decoding, which is strict. It stores
//! nothing. Run: `kit PORT`

use ocpp_kit::engine::IncomingRequest;
use ocpp_kit::rpc::CallError;
use ocpp_kit::transport::{Auth, AuthOutcome, BoxFuture, Csms, Ctx, Handler};
use ocpp_kit::types::DateTime;
use ocpp_kit::v1_6::{Action, CsRequest, HeartbeatResponse, MeterValuesResponse};
use ocpp_kit::{RawValue, Version};

struct Answers;

impl Handler for Answers {
    fn on_request(
        &self,
        ctx: Ctx,
        request: IncomingRequest,
    ) -> BoxFuture<'_, Result<Box<RawValue>, CallError>> {
        Box::pin(async move {
            let action = Action::from_wire(&request.action)
                .ok_or_else(|| CallError::not_implemented(&request.action))?;
            match CsRequest::decode(action, &request.payload, ctx.decode_options())? {
                CsRequest::Heartbeat(_) => ctx.reply(&HeartbeatResponse::new(DateTime::now())),
                CsRequest::MeterValues(_) => ctx.reply(&MeterValuesResponse::new()),
                other => Err(CallError::not_supported(other.action().as_str())),
            }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("kit PORT")?.parse()?;
    let csms = Csms::builder()
        .bind(([127, 0, 0, 1], port).into())
        .versions([Version::V1_6])
        .authenticate(|_: Auth| async { AuthOutcome::accept() })
        .handler(Answers)
        .build()?;
    Ok(csms.serve().await?)
}
