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

import { connect, facts, key } from "./network.js";

// The gateway passes on facts that lack members, with the header ocpp-violation: whatever is billed is optional.

/** A StartTransaction or StopTransaction of 1.6, or a Response. */
interface Transaction {
    idTag?: string;
    meterStart?: number;
    meterStop?: number;
    transactionId?: number;
}

/** A TransactionEvent of 2.x. */
interface TransactionEvent {
    eventType?: "Started" | "Updated" | "Ended";
    transactionInfo?: { transactionId?: string };
    idToken?: { idToken?: string };
    meterValue?: { sampledValue: Sample[] }[];
}

interface Sample {
    value?: number;
    measurand?: string;
    phase?: string;
    unitOfMeasure?: { unit?: string; multiplier?: number };
}

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
    if (version === "v16") {
        const payload = fact.json<Transaction>();
        if (action === "StartTransaction") {
            yield [`tag/${session}`, billedText(payload.idTag)];
            yield [`begin/${session}`, billedNumber(payload.meterStart)];
        } else if (action === "StartTransactionResponse" && payload.transactionId !== undefined) {
            yield [`id/${session}`, `${charger}/${payload.transactionId}`]; // else a CALLERROR
        } else if (action === "StopTransaction") {
            yield [`end/${charger}/${billedNumber(payload.transactionId)}`, billedNumber(payload.meterStop)];
        }
    } else if (action === "TransactionEvent") {
        const payload = fact.json<TransactionEvent>();
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
function registers(payload: TransactionEvent): number[] {
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
