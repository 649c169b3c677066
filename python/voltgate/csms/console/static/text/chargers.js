import { table } from "./text.js";

// Now, Chargers, Charger and Act.
export const t = table({
  search: ["Search name, id, site, model", "Suche nach Name, Kennung, Ort, Modell"],
  all: ["All", "Alle"],
  count: ["{n} charger|{n} chargers", "{n} Ladepunkt|{n} Ladepunkte"],
  none: ["No charger has connected yet", "Noch hat sich kein Ladepunkt verbunden"],
  "none.hint": [
    "A charger appears here as soon as it is connected to the gateway.",
    "Ein Ladepunkt erscheint hier, sobald er mit dem Gateway verbunden ist.",
  ],
  "none.found": ["No charger matches", "Kein Ladepunkt passt"],
  "none.clear": ["Show all", "Alle zeigen"],
  nowhere: ["Without a site", "Ohne Standort"],
  connector: ["Connector {n}", "Anschluss {n}"],
  heard: ["Last message:", "Letzte Nachricht:"],
  since: ["since {time}", "seit {time}"],
  "no.connectors": [
    "The charger has not reported the state of a connector yet.",
    "Der Ladepunkt hat noch keinen Zustand eines Anschlusses gemeldet.",
  ],
  power: ["Power", "Leistung"],
  energy: ["Energy", "Energie"],
  soc: ["Battery", "Batterie"],
  "error.of": ["Error {error}", "Fehler {error}"],
  about: ["About", "Über"],
  id: ["Identity", "Kennung"],
  vendor: ["Vendor", "Hersteller"],
  model: ["Model", "Modell"],
  firmware: ["Firmware", "Firmware"],
  version: ["OCPP", "OCPP"],
  site: ["Site", "Standort"],
  missing: ["There is no charger {id}", "Es gibt keinen Ladepunkt {id}"],

  "now.needs": ["Needs you", "Braucht dich"],
  "now.well": ["Nothing needs you", "Nichts braucht dich"],
  "now.states": ["Chargers by state", "Ladepunkte nach Zustand"],
  "now.sessions": ["{n} session is running|{n} sessions are running", "{n} Vorgang läuft|{n} Vorgänge laufen"],
  "now.more": ["and {n} more", "und {n} weitere"],

  act: ["Act", "Handeln"],
  start: ["Start", "Starten"],
  stop: ["Stop", "Beenden"],
  reset: ["Restart", "Neu starten"],
  unlock: ["Unlock", "Entriegeln"],
  "ask.start": ["Start charging at {place}?", "An {place} laden?"],
  "ask.stop": ["Stop charging at {place}?", "Das Laden an {place} beenden?"],
  "ask.reset": [
    "Restart {place}? A running session ends.",
    "{place} neu starten? Ein laufender Vorgang endet.",
  ],
  "ask.unlock": ["Unlock the cable at {place}?", "Das Kabel an {place} entriegeln?"],
  "do.start": ["Start charging", "Laden starten"],
  "do.stop": ["Stop charging", "Laden beenden"],
  "do.reset": ["Restart the charger", "Ladepunkt neu starten"],
  "do.unlock": ["Unlock the cable", "Kabel entriegeln"],
  cancel: ["Cancel", "Abbrechen"],
  token: ["Token (optional)", "Karte (optional)"],
  sending: ["Sending …", "Wird gesendet …"],
  done: ["Done", "Fertig"],
  "place.connector": ["{name}, connector {n}", "{name}, Anschluss {n}"],
  again: ["Ask again", "Noch einmal fragen"],

  "outcome.Accepted": ["The charger accepted it.", "Der Ladepunkt hat es angenommen."],
  "outcome.Rejected": ["The charger refused it.", "Der Ladepunkt hat es abgelehnt."],
  "outcome.Scheduled": [
    "The charger will do it when its session has ended.",
    "Der Ladepunkt tut es, wenn der Vorgang beendet ist.",
  ],
  "outcome.Unlocked": ["The cable is unlocked.", "Das Kabel ist entriegelt."],
  "outcome.UnlockFailed": ["The cable could not be unlocked.", "Das Kabel ließ sich nicht entriegeln."],
  "outcome.NotSupported": ["The charger cannot do this.", "Der Ladepunkt kann das nicht."],
  "outcome.result": ["The charger answered {status}.", "Der Ladepunkt antwortete {status}."],
  "outcome.error": [
    "The charger refused the command with an error.",
    "Der Ladepunkt hat den Befehl mit einem Fehler abgelehnt.",
  ],
  "outcome.bad_result": [
    "The charger's answer is not valid OCPP: the effect is unknown.",
    "Die Antwort des Ladepunkts ist kein gültiges OCPP: Die Wirkung ist unbekannt.",
  ],
  "outcome.invalid": [
    "Not sent: the charger's OCPP version has no such command.",
    "Nicht gesendet: Die OCPP-Version des Ladepunkts kennt diesen Befehl nicht.",
  ],
  "outcome.busy": [
    "Not sent: too many commands wait for this charger. Try again in a minute.",
    "Nicht gesendet: Zu viele Befehle warten auf diesen Ladepunkt. Versuche es in einer Minute wieder.",
  ],
  "outcome.expired": [
    "Not sent: the charger was busy with other commands.",
    "Nicht gesendet: Der Ladepunkt war mit anderen Befehlen beschäftigt.",
  ],
  "outcome.timeout": [
    "Sent, and no answer in 30 seconds: the effect is unknown. Look at the charger's state before you try again.",
    "Gesendet, keine Antwort in 30 Sekunden: Die Wirkung ist unbekannt. Prüfe vor einem neuen Versuch den Zustand.",
  ],
  "outcome.lost": [
    "Sent, then the connection ended: the effect is unknown. Look at the charger's state when it is back.",
    "Gesendet, dann riss die Verbindung ab: Die Wirkung ist unbekannt. Prüfe den Zustand, wenn sie wieder steht.",
  ],
  "outcome.gone": [
    "Not sent: the connection ended first. Try again when the charger is back.",
    "Nicht gesendet: Die Verbindung endete vorher. Versuche es wieder, wenn der Ladepunkt verbunden ist.",
  ],
  "outcome.unavailable": [
    "Not sent: the command could not be stored.",
    "Nicht gesendet: Der Befehl ließ sich nicht speichern.",
  ],
  "outcome.not_connected": [
    "Not sent: the charger is not connected.",
    "Nicht gesendet: Der Ladepunkt ist nicht verbunden.",
  ],
  "outcome.unknown": [
    "No gateway answered: the effect is unknown. Look at the charger's state before you try again.",
    "Kein Gateway hat geantwortet: Die Wirkung ist unbekannt. Prüfe vor einem neuen Versuch den Zustand.",
  ],
  "outcome.network": [
    "The console did not answer: the effect is unknown. Ask again: it is sent once, however often you ask.",
    "Die Konsole hat nicht geantwortet: Die Wirkung ist unbekannt. Frag noch einmal: Gesendet wird nur einmal.",
  ],
  "outcome.problem": ["Not sent: {why}", "Nicht gesendet: {why}"],
});
