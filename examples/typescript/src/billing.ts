// Bills charging sessions: node dist/billing.js [totals] [NAME]
//
// Records every session, as the durable consumer NAME; with `totals` prints the Wh of each tag.
//
// What the bucket holds, each entry under a key that a repeated fact has too, so that writing is idempotent:
//
//   tag/S     who charges, in the session S
//   begin/S   the meter when it began, in Wh
//   id/S      1.6: the transaction that S is, from the Response
//   end/T     the meter when the transaction T ended, in Wh
//
// S is the ocpp-key of StartTransaction in 1.6, and T itself in 2.x; T is identity and transaction id.
import type { JsMsg } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";

import type { StartTransactionRequest } from "./models/StartTransaction.request.js";
import type { StartTransactionResponse } from "./models/StartTransaction.response.js";
import type { StopTransactionRequest } from "./models/StopTransaction.request.js";
// Of 2.0.1: 2.1 has the same members, and more.
import type { TransactionEventRequest } from "./models/TransactionEvent.request.js";
import { connect, facts, key } from "./network.js";

// The models describe valid messages. The gateway passes on others too, with the header ocpp-violation: what is billed
// is checked.

/** A text that is billed. An error brings the fact again, and it is a dead letter in the end. */
function billedText(value: unknown): string {
    if (typeof value !== "string") {
        throw new Error("a text that is billed is missing");
    }
    return value;
}

/** A number that is billed. */
function billedNumber(value: unknown): number {
    if (typeof value !== "number" || Number.isNaN(value)) {
        throw new Error("a number that is billed is missing");
    }
    return value;
}

/** What one fact says. Facts may come twice, and in any order. */
function* entries(fact: JsMsg): Generator<[string, string | number]> {
    const [, , version, action, charger] = fact.subject.split(".");
    const session = fact.headers?.get("ocpp-key");
    if (version === "v16" && action === "StartTransaction") {
        const payload = fact.json<StartTransactionRequest>();
        yield [`tag/${session}`, billedText(payload.idTag)];
        yield [`begin/${session}`, billedNumber(payload.meterStart)];
    } else if (version === "v16" && action === "StartTransactionResponse") {
        const { transactionId } = fact.json<Partial<StartTransactionResponse>>(); // {} after a CALLERROR
        if (transactionId !== undefined) {
            yield [`id/${session}`, `${charger}/${transactionId}`];
        }
    } else if (version === "v16" && action === "StopTransaction") {
        const payload = fact.json<StopTransactionRequest>();
        yield [`end/${charger}/${billedNumber(payload.transactionId)}`, billedNumber(payload.meterStop)];
    } else if (action === "TransactionEvent") {
        const payload = fact.json<TransactionEventRequest>();
        const transaction = `${charger}/${key(billedText(payload.transactionInfo?.transactionId))}`;
        if (payload.idToken !== undefined && billedText(payload.eventType) !== "Ended") {
            yield [`tag/${transaction}`, billedText(payload.idToken.idToken)];
        }
        const meter = registers(payload);
        const [first, last] = [meter.at(0), meter.at(-1)];
        if (first !== undefined && payload.eventType === "Started") {
            yield [`begin/${transaction}`, first];
        } else if (last !== undefined && payload.eventType === "Ended") {
            yield [`end/${transaction}`, last];
        }
    }
}

/** The readings of the energy register of 2.x in Wh, in the order of the message. */
function registers(payload: TransactionEventRequest): number[] {
    const register = "Energy.Active.Import.Register";
    return (payload.meterValue ?? [])
        .flatMap((value) => value.sampledValue)
        .filter((sample) => sample.phase === undefined)
        .filter((sample) => (sample.measurand ?? register) === register)
        .map(({ value, unitOfMeasure: { unit = "Wh", multiplier = 0 } = {} }) =>
            Math.round(billedNumber(value) * 10 ** multiplier * (unit === "kWh" ? 1000 : 1)),
        );
}

/** Adds up the Wh of each tag, over all sessions that ended. */
async function totals(bucket: KV): Promise<Record<string, number>> {
    const found = new Map<string, string>();
    for await (const name of await bucket.keys()) {
        found.set(name, (await bucket.get(name))?.string() ?? "");
    }
    const sums: Record<string, number> = {};
    for (const [name, tag] of found) {
        if (name.startsWith("tag/")) {
            const session = name.slice("tag/".length);
            const begin = found.get(`begin/${session}`);
            const end = found.get(`end/${found.get(`id/${session}`) ?? session}`);
            if (begin !== undefined && end !== undefined) {
                sums[tag] = (sums[tag] ?? 0) + Number(end) - Number(begin);
            } // else it goes on
        }
    }
    return sums;
}

const onlyTotals = process.argv[2] === "totals";
const name = process.argv[onlyTotals ? 3 : 2] ?? "billing";
const nc = await connect();
const bucket = await new Kvm(nc).create(name);
if (onlyTotals) {
    console.log(JSON.stringify(await totals(bucket)));
    await nc.close();
} else {
    for await (const fact of facts(nc, "OCPP_TX", name, "ocpp.tx.>")) {
        try {
            for (const [entry, value] of entries(fact)) {
                await bucket.put(entry, String(value));
            }
            fact.ack(); // an acknowledgement that is lost brings the fact again
        } catch (error) {
            console.error(fact.subject, String(error));
            fact.nak(5000);
        }
    }
}
