// Sends a command: node dist/command.js IDENTITY ACTION [JSON [SECONDS]]. Exit code 0 only for a result.
import { randomUUID } from "node:crypto";

import { connect, send } from "./network.js";

const [identity, action, payload = "{}", seconds = "30"] = process.argv.slice(2);
if (identity === undefined || action === undefined) {
    throw new Error("command.js IDENTITY ACTION [JSON]");
}
const nc = await connect();
const { outcome, body } = await send(nc, identity, action, payload, randomUUID(), Number(seconds));
await nc.close();
console.log(outcome, body);
process.exitCode = outcome === "result" ? 0 : 1;
