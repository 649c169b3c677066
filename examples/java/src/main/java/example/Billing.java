package example;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import io.nats.client.JetStreamApiException;
import io.nats.client.KeyValue;
import io.nats.client.Message;
import io.nats.client.api.KeyValueConfiguration;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Bills charging sessions: {@code Billing [totals] [NAME]}.
 *
 * <p>Records every session, as the durable consumer NAME; with {@code totals} prints the Wh of each
 * tag.
 *
 * <p>What the bucket holds, each entry under a key that a repeated fact has too, so that writing is
 * idempotent:
 *
 * <ul>
 *   <li>{@code tag/S}: who charges, in the session S
 *   <li>{@code begin/S}: the meter when it began, in Wh
 *   <li>{@code id/S}: 1.6: the transaction that S is, from the Response
 *   <li>{@code end/T}: the meter when the transaction T ended, in Wh
 * </ul>
 *
 * <p>S is the {@code ocpp-key} of StartTransaction in 1.6, and T itself in 2.x; T is identity and
 * transaction id.
 */
final class Billing {
  private static final String REGISTER = "Energy.Active.Import.Register";

  private Billing() {}

  public static void main(String[] args) throws Exception {
    var onlyTotals = args.length > 0 && args[0].equals("totals");
    var rest = List.of(args).subList(onlyTotals ? 1 : 0, args.length);
    var name = rest.isEmpty() ? "billing" : rest.get(0);
    try (var nats = Network.connect()) {
      try {
        nats.keyValueManagement().getStatus(name);
      } catch (JetStreamApiException e) {
        if (e.getErrorCode() != 404) {
          throw e;
        }
        nats.keyValueManagement().create(KeyValueConfiguration.builder().name(name).build());
      }
      var bucket = nats.keyValue(name);
      if (onlyTotals) {
        System.out.println(Network.JSON.writeValueAsString(totals(bucket)));
      } else {
        Network.facts(nats, "OCPP_TX", name, "ocpp.tx.>", fact -> record(bucket, fact));
      }
    }
  }

  /** Stores what one fact says. It may be called twice with one fact, and with facts in any order. */
  private static void record(KeyValue bucket, Message fact)
      throws IOException, JetStreamApiException {
    for (var entry : entries(fact).entrySet()) {
      bucket.put(entry.getKey(), entry.getValue().getBytes(UTF_8));
    }
  }

  private static Map<String, String> entries(Message fact) throws IOException {
    var subject = fact.getSubject().split("\\.");
    var charger = subject[4];
    var session = fact.getHeaders().getFirst("ocpp-key");
    var payload = Network.JSON.readTree(fact.getData());
    return switch (subject[2] + " " + subject[3]) {
      case "v16 StartTransaction" ->
          Map.of(
              "tag/" + session, payload.required("idTag").asText(),
              "begin/" + session, number(payload, "meterStart"));
      case "v16 StartTransactionResponse" ->
          payload.has("transactionId")
              ? Map.of("id/" + session, charger + "/" + number(payload, "transactionId"))
              : Map.of(); // a CALLERROR
      case "v16 StopTransaction" ->
          Map.of(
              "end/" + charger + "/" + number(payload, "transactionId"),
              number(payload, "meterStop"));
      case "v201 TransactionEvent", "v21 TransactionEvent" -> entries(charger, payload);
      default -> Map.of();
    };
  }

  private static Map<String, String> entries(String charger, JsonNode event) {
    var id = event.required("transactionInfo").required("transactionId").asText();
    var session = charger + "/" + Network.key(id);
    var type = event.required("eventType").asText();
    var meter = registers(event);
    var entries = new HashMap<String, String>();
    if (event.has("idToken") && !type.equals("Ended")) {
      entries.put("tag/" + session, event.get("idToken").required("idToken").asText());
    }
    if (!meter.isEmpty() && type.equals("Started")) {
      entries.put("begin/" + session, meter.get(0).toString());
    } else if (!meter.isEmpty() && type.equals("Ended")) {
      entries.put("end/" + session, meter.get(meter.size() - 1).toString());
    }
    return entries;
  }

  /** A number that is billed. An exception brings the fact again; in the end it is a dead letter. */
  private static String number(JsonNode payload, String member) {
    return String.valueOf(Long.parseLong(payload.required(member).asText()));
  }

  /** The readings of the energy register of 2.x in Wh, in the order of the message. */
  private static List<Long> registers(JsonNode event) {
    var readings = new ArrayList<Long>();
    for (var value : event.path("meterValue")) {
      for (var sample : value.path("sampledValue")) {
        if (sample.path("measurand").asText(REGISTER).equals(REGISTER) && !sample.has("phase")) {
          var unit = sample.path("unitOfMeasure");
          var wh = sample.required("value").decimalValue();
          wh = wh.scaleByPowerOfTen(unit.path("multiplier").asInt(0));
          wh = wh.scaleByPowerOfTen(unit.path("unit").asText("Wh").equals("kWh") ? 3 : 0);
          readings.add(Math.round(wh.doubleValue()));
        }
      }
    }
    return readings;
  }

  /** Adds up the Wh of each tag, over all sessions that ended. */
  private static Map<String, Long> totals(KeyValue bucket)
      throws IOException, JetStreamApiException, InterruptedException {
    var found = new HashMap<String, String>();
    for (var name : bucket.keys()) {
      found.put(name, bucket.get(name).getValueAsString());
    }
    var sums = new TreeMap<String, Long>();
    found.forEach(
        (name, tag) -> {
          if (name.startsWith("tag/")) {
            var session = name.substring("tag/".length());
            var begin = found.get("begin/" + session);
            var end = found.get("end/" + found.getOrDefault("id/" + session, session));
            if (begin != null && end != null) { // else it goes on
              sums.merge(tag, Long.parseLong(end) - Long.parseLong(begin), Long::sum);
            }
          }
        });
    return sums;
  }
}
