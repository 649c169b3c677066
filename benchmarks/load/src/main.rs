//! The load of the benchmark: many chargers in one thread, cheap enough not to be the limit.
//!
//! It is controlled by lines, so that the harness can read the server's CPU time between the phases: it prints
//! `ready`; after a line on stdin it connects and prints the result; every further line `go [SECONDS]` starts a
//! run and prints its figures, `leave` resets every connection, and `again` connects anew; the end of stdin ends it.
//! Figures are JSON, one object per line.
//! `arguments` is the command line, `swarm` the event loop, `socket` one websocket, `payload` the messages,
//! `secure` their TLS, `figures` the counters.

mod arguments;
mod figures;
mod payload;
mod secure;
mod socket;
mod swarm;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use arguments::{Arguments, Mode};
use serde_json::Value;
use swarm::Swarm;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(fault) => {
            eprintln!("voltgate-load: {fault}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("voltgate-load: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &Arguments) -> io::Result<()> {
    let mut swarm = Swarm::new(arguments)?;
    let orders = swarm.listen();
    println!("ready");
    if order(&mut swarm, &orders)?.is_none() {
        return Ok(());
    }
    println!("{}", swarm.connect()?);
    while let Some(line) = order(&mut swarm, &orders)? {
        if line == "leave" || line == "again" {
            swarm.hang_up();
            println!("{}", if line == "again" { swarm.connect()? } else { Value::Null });
            continue;
        }
        let given = line.strip_prefix("go").and_then(|seconds| seconds.trim().parse().ok());
        let seconds = Duration::from_secs_f64(given.unwrap_or(arguments.seconds));
        let figures = match arguments.mode {
            Mode::PingPong => swarm.ping_pong(seconds, arguments.messages)?,
            Mode::Open => swarm.open_loop(seconds, arguments.rate)?,
            Mode::Idle => swarm.idle(seconds)?,
        };
        println!("{figures}");
    }
    swarm.hang_up();
    Ok(())
}

/// The next line from stdin; the chargers answer pings meanwhile.
fn order(swarm: &mut Swarm, orders: &Receiver<String>) -> io::Result<Option<String>> {
    use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
    loop {
        match orders.try_recv() {
            Ok(line) => return Ok(Some(line)),
            Err(Disconnected) => return Ok(None),
            Err(Empty) => swarm.turn(None)?,
        }
    }
}
