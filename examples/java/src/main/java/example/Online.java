package example;

import com.fasterxml.jackson.databind.JsonNode;
import io.nats.client.Connection;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.DeliverPolicy;
import java.util.ArrayList;
import java.util.List;

/** Lists the chargers that are connected: {@code Online}. */
final class Online {
  private Online() {}

  public static void main(String[] args) throws Exception {
    try (var nats = Network.connect()) {
      for (var link : online(nats)) {
        System.out.println(link.get("identity").asText() + " " + link.get("version").asText());
      }
    }
  }

  /** The links of the chargers that are connected: the last of each charger, where it is an up. */
  private static List<JsonNode> online(Connection nats) throws Exception {
    var lastLinks =
        ConsumerConfiguration.builder()
            .deliverPolicy(DeliverPolicy.LastPerSubject)
            .filterSubject("ocpp.link.*")
            .ackPolicy(AckPolicy.None)
            .inactiveThreshold(30_000)
            .build();
    var info = nats.jetStreamManagement().createConsumer("OCPP_LINKS", lastLinks);
    var consumer = nats.jetStream().getConsumerContext("OCPP_LINKS", info.getName());
    var up = new ArrayList<JsonNode>();
    for (var pending = info.getNumPending(); pending > 0; pending--) {
      var link = Network.JSON.readTree(consumer.next().getData());
      if (link.get("state").asText().equals("up")) {
        up.add(link);
      }
    }
    return up;
  }
}
