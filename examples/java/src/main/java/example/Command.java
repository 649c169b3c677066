package example;

import java.time.Duration;
import java.util.UUID;

/** Sends a command: {@code Command IDENTITY ACTION [JSON [SECONDS]]}. Exit code 0 only for a result. */
final class Command {
  private Command() {}

  public static void main(String[] args) throws Exception {
    var payload = args.length > 2 ? args[2] : "{}";
    var timeout = Duration.ofSeconds(args.length > 3 ? Long.parseLong(args[3]) : 30);
    var id = UUID.randomUUID().toString();
    Network.Reply reply;
    try (var nats = Network.connect()) {
      reply = Network.send(nats, args[0], args[1], payload, id, timeout);
    }
    System.out.println(reply.outcome() + " " + reply.body());
    System.exit(reply.outcome().equals("result") ? 0 : 1);
  }
}
