// What a charger's and a connector's own words mean to people: one of a few states, the same for three OCPP versions.

/** Worst first: a charger with several connectors has the state that most needs to be seen. */
export const STATES = [
  "offline", "faulted", "charging", "occupied", "reserved", "available", "unavailable", "unknown",
];

const OF_STATUS = {
  Available: "available",
  Preparing: "occupied",
  Charging: "charging",
  SuspendedEV: "occupied",
  SuspendedEVSE: "occupied",
  Finishing: "occupied",
  Occupied: "occupied",
  Reserved: "reserved",
  Unavailable: "unavailable",
  Faulted: "faulted",
};

/** 2.x says Occupied while it charges: what flows decides. */
export function ofConnector(connector) {
  const state = OF_STATUS[connector.status] ?? (connector.session ? "charging" : "unknown");
  return state === "occupied" && connector.session && connector.power_w > 0 ? "charging" : state;
}

const RANK = Object.fromEntries(STATES.map((state, rank) => [state, rank]));

export function ofCharger(charger) {
  if (!charger.online) return "offline";
  // Connector 0 is the whole charger: it counts where it is not well, and where there is no other.
  let worst = "unknown";
  for (const connector of charger.connectors) {
    const state = ofConnector(connector);
    if (connector.evse === 0 && charger.connectors.length > 1 && state === "available") continue;
    if (RANK[state] < RANK[worst]) worst = state;
  }
  return worst;
}

/** Sums over the connectors; null where none says a number. */
export function total(charger, what) {
  let sum = null;
  for (const connector of charger.connectors) if (connector[what] != null) sum = (sum ?? 0) + connector[what];
  return sum;
}
