// What services on Voltgate share: names, headers, commands, and facts of a durable consumer.
import { setTimeout as delay } from "node:timers/promises";

import {
    AckPolicy,
    type JsMsg,
    jetstream,
    JetStreamApiCodes,
    JetStreamApiError,
    jetstreamManager,
} from "@nats-io/jetstream";
import { connect as dial, errors, headers, nanos, type NatsConnection } from "@nats-io/transport-node";

/** Connects to NATS and keeps connecting: a restart of NATS does not end the program. */
export function connect(): Promise<NatsConnection> {
    const url = new URL(process.env.NATS_URL ?? "nats://127.0.0.1:4222");
    return dial({
        servers: url.host,
        // The client does not read them from the URL.
        ...(url.username && {
            user: decodeURIComponent(url.username),
            pass: decodeURIComponent(url.password),
        }),
        maxReconnectAttempts: -1,
        waitOnFirstConnect: true,
    });
}

/** The charger's identity as it appears in subjects and keys. */
export function token(identity: string): string {
    const plain = /[A-Za-z0-9_-]/;
    return [...Buffer.from(identity)]
        .map((byte) => {
            const character = String.fromCharCode(byte);
            return plain.test(character) ? character : "=" + byte.toString(16).toUpperCase().padStart(2, "0");
        })
        .join("");
}

/** Joins parts to one key, in the spelling of the header `ocpp-key`. */
export function key(...parts: string[]): string {
    return parts.map(token).join("/");
}

/** Decodes the value of a header. Not URLSearchParams: a plus sign is a plus sign. */
export function text(header: string): string {
    return decodeURIComponent(header);
}

/** How a command ended: `ocpp-outcome`, or one of the two that no gateway can report. */
export type Outcome =
    | "result"
    | "error"
    | "bad_result"
    | "invalid"
    | "busy"
    | "expired"
    | "timeout"
    | "lost"
    | "gone"
    | "unavailable"
    | "not_connected" // the charger is not connected anywhere; not sent
    | "unknown"; // no reply in time; the charger may have got the command

export interface Reply {
    outcome: Outcome;
    body: string;
}

/**
 * Sends a command and waits a little longer than the charger has time.
 * Repeated with the same id, it is sent to the charger once.
 */
export async function send(
    nc: NatsConnection,
    identity: string,
    action: string,
    payload: string,
    id: string,
    seconds = 30,
): Promise<Reply> {
    const subject = `ocpprpc.send.${action}.${token(identity)}`;
    const fields = headers();
    fields.set("ocpp-command-id", id);
    fields.set("ocpp-timeout", String(seconds));
    const options = { timeout: (seconds + 5) * 1000, headers: fields };
    const again = Date.now() + 1000;
    for (;;) {
        try {
            const reply = await nc.request(subject, payload, options);
            return {
                outcome: reply.headers?.get("ocpp-outcome") as Outcome,
                body: reply.string(),
            };
        } catch (error) {
            if (error instanceof errors.TimeoutError) {
                return { outcome: "unknown", body: "" };
            }
            if (!(error instanceof errors.RequestError && error.isNoResponders())) {
                throw error;
            }
            if (Date.now() > again) {
                return { outcome: "not_connected", body: "" };
            }
            await delay(100); // a charger that moves to another gateway is away for a moment
        }
    }
}

/**
 * The facts of a durable consumer, which is made where it is missing, until the connection is closed.
 * Acknowledge each when it is stored; one that is not comes again.
 */
export async function* facts(
    nc: NatsConnection,
    stream: string,
    durable: string,
    filter: string,
): AsyncGenerator<JsMsg> {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    try {
        await manager.consumers.info(stream, durable);
    } catch (error) {
        const missing =
            error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound;
        if (!missing) {
            throw error;
        }
        await manager.consumers.add(stream, {
            durable_name: durable,
            filter_subject: filter,
            ack_policy: AckPolicy.Explicit,
            ack_wait: nanos(10_000),
            max_deliver: 10, // then it is a dead letter
        });
    }
    const consumer = await jetstream(nc).consumers.get(stream, durable);
    while (!nc.isClosed()) {
        try {
            yield* await consumer.fetch({ max_messages: 100, expires: 5_000 });
        } catch (error) {
            console.error(String(error)); // NATS is away
            await delay(1000);
        }
    }
}
