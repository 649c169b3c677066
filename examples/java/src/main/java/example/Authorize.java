package example;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.nats.client.Message;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

/** Answers Authorize: {@code Authorize TAG...} These tags are accepted. */
final class Authorize {
  private Authorize() {}

  public static void main(String[] args) throws Exception {
    var known = Set.of(args);
    var nats = Network.connect();
    var dispatcher =
        nats.createDispatcher(
            question -> {
              try {
                var body = answer(question, known);
                nats.publish(question.getReplyTo(), body);
                System.out.println(question.getSubject() + " " + new String(body, UTF_8));
              } catch (IOException | IllegalArgumentException e) {
                var failed = // the gateway answers by its fallback at once
                    new Headers()
                        .put("Nats-Service-Error-Code", "500")
                        .put("Nats-Service-Error", "no answer");
                nats.publish(question.getReplyTo(), failed, null);
                System.err.println(question.getSubject() + " " + e);
              }
            });
    // One queue group answers this question, for all chargers.
    dispatcher.subscribe("ocpprpc.ask.*.Authorize.*", "authorize");
    var stop = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try { // what has arrived is answered, and the queue group is left, before it closes
                    nats.drain(Duration.ofSeconds(10)).get();
                  } catch (Exception e) {
                    System.err.println(e);
                  }
                  stop.countDown();
                }));
    stop.await();
  }

  /** The answer to an Authorize of any version. */
  private static byte[] answer(Message question, Set<String> known) throws IOException {
    var isV16 = question.getSubject().split("\\.")[2].equals("v16");
    var payload = Network.JSON.readTree(question.getData());
    var tag =
        isV16 ? payload.required("idTag") : payload.required("idToken").required("idToken");
    var status = known.contains(tag.asText()) ? "Accepted" : "Invalid";
    var field = isV16 ? "idTagInfo" : "idTokenInfo";
    return Network.JSON.writeValueAsBytes(Map.of(field, Map.of("status", status)));
  }
}
