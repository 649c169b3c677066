package example;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.nats.client.Connection;
import io.nats.client.ConsumerContext;
import io.nats.client.IterableConsumer;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamStatusCheckedException;
import io.nats.client.JetStreamStatusException;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.net.URLDecoder;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/** What services on Voltgate share: names, headers, commands, and facts of a durable consumer. */
final class Network {
  static final ObjectMapper JSON = new ObjectMapper();

  /** The charger is not connected anywhere; not sent. */
  static final String NOT_CONNECTED = "not_connected";

  /** No reply in time; the charger may have got the command. */
  static final String UNKNOWN = "unknown";

  private static final int CONSUMER_NOT_FOUND = 10014;

  private Network() {}

  /** Connects to NATS and keeps connecting: a restart of NATS does not end the program. */
  static Connection connect() throws IOException, InterruptedException {
    var url = System.getenv().getOrDefault("NATS_URL", "nats://127.0.0.1:4222");
    // Without reportNoResponders a charger that is not connected looks like one that does not answer.
    var options = Options.builder().server(url).maxReconnects(-1).reportNoResponders().build();
    return Nats.connectReconnectOnConnect(options);
  }

  /** The charger's identity as it appears in subjects and keys. */
  static String token(String identity) {
    var token = new StringBuilder();
    for (byte b : identity.getBytes(UTF_8)) {
      if (b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-') {
        token.append((char) b);
      } else {
        token.append(String.format("=%02X", b));
      }
    }
    return token.toString();
  }

  /** Joins parts to one key, in the spelling of the header {@code ocpp-key}. */
  static String key(String... parts) {
    return Arrays.stream(parts).map(Network::token).collect(Collectors.joining("/"));
  }

  /** Decodes the value of a header. URLDecoder is made for forms: a plus sign must stay a plus sign. */
  static String text(String header) {
    return URLDecoder.decode(header.replace("+", "%2B"), UTF_8);
  }

  /** How a command ended: {@code ocpp-outcome} or one of the two above, and what was said about it. */
  record Reply(String outcome, String body) {}

  /**
   * Sends a command and waits a little longer than the charger has time. Repeated with the same id,
   * it is sent to the charger once.
   */
  static Reply send(
      Connection nats, String identity, String action, String payload, String id, Duration timeout)
      throws InterruptedException, ExecutionException {
    var subject = "ocpprpc.send." + action + "." + token(identity);
    var headers =
        new Headers()
            .put("ocpp-command-id", id)
            .put("ocpp-timeout", Long.toString(timeout.toSeconds()));
    var waiting = timeout.plusSeconds(5);
    var again = System.nanoTime() + Duration.ofSeconds(1).toNanos();
    while (true) {
      try {
        var reply =
            nats.requestWithTimeout(subject, headers, payload.getBytes(UTF_8), waiting).get();
        return new Reply(
            reply.getHeaders().getFirst("ocpp-outcome"), new String(reply.getData(), UTF_8));
      } catch (CancellationException e) {
        return new Reply(UNKNOWN, "");
      } catch (ExecutionException e) {
        if (e.getCause() instanceof TimeoutException) {
          return new Reply(UNKNOWN, "");
        }
        if (!(e.getCause() instanceof JetStreamStatusException status
            && status.getStatus().isNoResponders())) {
          throw e;
        }
        if (System.nanoTime() > again) {
          return new Reply(NOT_CONNECTED, "");
        }
        Thread.sleep(100); // a charger that moves to another gateway is away for a moment
      }
    }
  }

  /** What a service does with a fact. One that it fails on comes again. */
  interface Handler {
    void handle(Message fact) throws Exception;
  }

  /**
   * Calls the handler with every fact of a durable consumer, which is made where it is missing. A
   * fact is acknowledged after that. Returns when the thread is interrupted or the connection closed.
   */
  static void facts(
      Connection nats, String stream, String durable, String filter, Handler handler)
      throws IOException, JetStreamApiException {
    try (IterableConsumer facts = consumer(nats, stream, durable, filter).iterate()) {
      while (nats.getStatus() != Connection.Status.CLOSED) {
        Message fact;
        try {
          fact = facts.nextMessage(Duration.ofSeconds(5));
        } catch (JetStreamStatusCheckedException e) {
          System.err.println(e.getMessage()); // NATS is away
          continue;
        }
        if (fact == null) {
          continue;
        }
        try {
          handler.handle(fact);
          fact.ack(); // an acknowledgement that is lost brings the fact again
        } catch (Exception e) {
          System.err.println(fact.getSubject() + " " + e);
          fact.nakWithDelay(Duration.ofSeconds(5));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Exception e) {
      throw new IOException(e);
    }
  }

  private static ConsumerContext consumer(
      Connection nats, String stream, String durable, String filter)
      throws IOException, JetStreamApiException {
    try {
      return nats.jetStream().getConsumerContext(stream, durable);
    } catch (JetStreamApiException e) {
      if (e.getApiErrorCode() != CONSUMER_NOT_FOUND) {
        throw e;
      }
    }
    var configuration =
        ConsumerConfiguration.builder()
            .durable(durable)
            .filterSubject(filter)
            .ackPolicy(AckPolicy.Explicit)
            .ackWait(Duration.ofSeconds(10))
            .maxDeliver(10) // then it is a dead letter
            .build();
    nats.jetStreamManagement().createConsumer(stream, configuration);
    return nats.jetStream().getConsumerContext(stream, durable);
  }
}
