// Answers Authorize: node dist/authorize.js TAG... These tags are accepted.
import { headers, type Msg } from "@nats-io/transport-node";

import { connect } from "./network.js";

/** The answer to an Authorize of any version. */
function answer(question: Msg, known: string[]): string {
    const status = (tag: string) => (known.includes(tag) ? "Accepted" : "Invalid");
    if (question.subject.split(".")[2] === "v16") {
        const { idTag } = question.json<{ idTag: string }>();
        return JSON.stringify({ idTagInfo: { status: status(idTag) } });
    }
    const { idToken } = question.json<{ idToken: { idToken: string } }>();
    return JSON.stringify({ idTokenInfo: { status: status(idToken.idToken) } });
}

const known = process.argv.slice(2);
const nc = await connect();
// What has arrived is answered, and the queue group is left, before the connection closes.
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => void nc.drain());
}
// One queue group answers this question, for all chargers.
const questions = nc.subscribe("ocpprpc.ask.*.Authorize.*", {
    queue: "authorize",
});
for await (const question of questions) {
    try {
        const body = answer(question, known);
        question.respond(body);
        console.log(question.subject, body);
    } catch (error) {
        const failed = headers(); // the gateway answers by its fallback at once
        failed.set("Nats-Service-Error-Code", "500");
        failed.set("Nats-Service-Error", "no answer");
        question.respond("", { headers: failed });
        console.error(question.subject, String(error));
    }
}
