"use strict";
// A central system on ocpp-rpc as its README shows one, strict. Run: node rpc.js PORT

const { RPCServer } = require("ocpp-rpc");

const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true });

server.auth((accept) => accept());
server.on("client", (client) => {
  client.handle("Heartbeat", () => ({ currentTime: new Date().toISOString() }));
  client.handle("MeterValues", () => ({}));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
