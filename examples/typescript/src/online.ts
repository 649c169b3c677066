// Lists the chargers that are connected: node dist/online.js
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

import { connect } from "./network.js";

/** The last message of a charger in OCPP_LINKS; it has more fields. */
interface Link {
    state: "up" | "down";
    identity: string;
    version: string;
}

/** The links of the chargers that are connected. */
async function online(nc: NatsConnection): Promise<Link[]> {
    const consumer = await jetstream(nc).consumers.get("OCPP_LINKS", {
        deliver_policy: DeliverPolicy.LastPerSubject,
    });
    const { num_pending } = await consumer.info();
    const links: Link[] = [];
    if (num_pending > 0) {
        for await (const message of await consumer.fetch({
            max_messages: num_pending,
        })) {
            links.push(message.json<Link>());
        }
    }
    return links.filter((link) => link.state === "up");
}

const nc = await connect();
for (const { identity, version } of await online(nc)) {
    console.log(identity, version);
}
await nc.close();
