"use strict";
// A central system on ocpp-ws-io as its README shows one, strict, without its log. Run: node wsio.js PORT

const { OCPPServer } = require("ocpp-ws-io");

const server = new OCPPServer({ protocols: ["ocpp1.6"], strictMode: true, logging: false });

server.auth((context) => context.accept());
server.on("client", (client) => {
  client.handle("ocpp1.6", "Heartbeat", () => ({ currentTime: new Date().toISOString() }));
  client.handle("ocpp1.6", "MeterValues", () => ({}));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
