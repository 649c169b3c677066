"use strict";
// In place of the logger of ocpp-ws-io, which not every registry has. Logging is off, so it is not called.

exports.createLogger = exports.consoleTransport = exports.prettyTransport = () => {
  throw new Error("logging is off");
};
