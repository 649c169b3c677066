package example;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import example.models.v16.StartTransactionRequest;
import example.models.v16.StartTransactionResponse;
import example.models.v16.StopTransactionRequest;
import example.models.v201.MeasurandEnum;
import example.models.v201.PhaseEnum;
import example.models.v201.TransactionEventEnum;
import example.models.v201.TransactionEventRequest;
import io.nats.client.JetStreamApiException;
import io.nats.client.KeyValue;
import io.nats.client.Message;
import io.nats.client.api.KeyValueConfiguration;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
  /**
   * Reads facts into the models, which describe valid messages of 1.6 and 2.0.1; 2.1 has the same members, and more. The
   * gateway passes on others too, with the header {@code ocpp-violation}. What billing does not use must not stop it: an
   * unknown member is ignored, and an unknown value of an enum is null.
   */
  private static final ObjectMapper MODELS =
      JsonMapper.builder()
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.READ_UNKNOWN_ENUM_VALUES_AS_NULL)
          .build();

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
    return switch (subject[2] + " " + subject[3]) {
      case "v16 StartTransaction" -> {
        var start = MODELS.readValue(fact.getData(), StartTransactionRequest.class);
        yield Map.of(
            "tag/" + session, billed(start.getIdTag()),
            "begin/" + session, billed(start.getMeterStart()).toString());
      }
      case "v16 StartTransactionResponse" -> {
        var number = MODELS.readValue(fact.getData(), StartTransactionResponse.class).getTransactionId();
        yield number == null // a CALLERROR
            ? Map.of()
            : Map.of("id/" + session, charger + "/" + number);
      }
      case "v16 StopTransaction" -> {
        var stop = MODELS.readValue(fact.getData(), StopTransactionRequest.class);
        yield Map.of(
            "end/" + charger + "/" + billed(stop.getTransactionId()),
            billed(stop.getMeterStop()).toString());
      }
      case "v201 TransactionEvent", "v21 TransactionEvent" -> {
        var event = MODELS.readTree(fact.getData());
        for (var value : event.path("meterValue")) {
          value.path("sampledValue").forEach(Billing::complete);
        }
        yield entries(charger, MODELS.treeToValue(event, TransactionEventRequest.class));
      }
      default -> Map.of();
    };
  }

  /** No measurand is the register, and no phase is all of them: a null must not mean an unknown one too. */
  private static void complete(JsonNode sample) {
    if (!sample.has("measurand")) {
      ((ObjectNode) sample).put("measurand", MeasurandEnum.ENERGY_ACTIVE_IMPORT_REGISTER.value());
    }
    if (sample.has("phase")) {
      PhaseEnum.fromValue(sample.get("phase").asText());
    }
  }

  private static Map<String, String> entries(String charger, TransactionEventRequest event) {
    var id = billed(event.getTransactionInfo().getTransactionId());
    var session = charger + "/" + Network.key(id);
    var type = billed(event.getEventType());
    var meter = registers(event);
    var entries = new HashMap<String, String>();
    if (event.getIdToken() != null && type != TransactionEventEnum.ENDED) {
      entries.put("tag/" + session, billed(event.getIdToken().getIdToken()));
    }
    if (!meter.isEmpty() && type == TransactionEventEnum.STARTED) {
      entries.put("begin/" + session, meter.get(0).toString());
    } else if (!meter.isEmpty() && type == TransactionEventEnum.ENDED) {
      entries.put("end/" + session, meter.get(meter.size() - 1).toString());
    }
    return entries;
  }

  /** What is billed is not null. An exception brings the fact again; in the end it is a dead letter. */
  private static <T> T billed(T value) {
    return Objects.requireNonNull(value, "a member that is billed is missing");
  }

  /** The readings of the energy register of 2.x in Wh, in the order of the message. */
  private static List<Long> registers(TransactionEventRequest event) {
    var readings = new ArrayList<Long>();
    for (var value : event.getMeterValue()) {
      for (var sample : value.getSampledValue()) {
        if (sample.getMeasurand() == MeasurandEnum.ENERGY_ACTIVE_IMPORT_REGISTER
            && sample.getPhase() == null) {
          var wh = billed(sample.getValue());
          var unit = sample.getUnitOfMeasure();
          if (unit != null && unit.getMultiplier() != null) {
            wh = wh.scaleByPowerOfTen(unit.getMultiplier().intValue());
          }
          if (unit != null && "kWh".equals(unit.getUnit())) { // the default is Wh
            wh = wh.scaleByPowerOfTen(3);
          }
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
