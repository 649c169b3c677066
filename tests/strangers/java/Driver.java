import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import eu.chargetime.ocpp.ClientEvents;
import eu.chargetime.ocpp.JSONClient;
import eu.chargetime.ocpp.JSONCommunicator;
import eu.chargetime.ocpp.feature.profile.ClientCoreEventHandler;
import eu.chargetime.ocpp.feature.profile.ClientCoreProfile;
import eu.chargetime.ocpp.model.Confirmation;
import eu.chargetime.ocpp.model.Request;
import eu.chargetime.ocpp.model.core.ChangeConfigurationConfirmation;
import eu.chargetime.ocpp.model.core.ConfigurationStatus;
import eu.chargetime.ocpp.model.core.RemoteStartStopStatus;
import eu.chargetime.ocpp.model.core.RemoteStartTransactionConfirmation;
import eu.chargetime.ocpp.model.core.ResetConfirmation;
import eu.chargetime.ocpp.model.core.ResetStatus;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Proxy;
import java.util.concurrent.TimeUnit;

/** A charger made of Java-OCA-OCPP, which leaves redialling to its user; see the README beside this folder. */
public class Driver {
  private static final JSONCommunicator JSON = new JSONCommunicator(null);
  private static volatile JSONClient client;
  private static volatile boolean open;
  private static volatile boolean ended;

  public static void main(String[] arguments) throws Exception {
    Thread dialling = new Thread(() -> keepOpen(arguments[0], arguments[1]));
    dialling.setDaemon(true);
    dialling.start();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonObject wanted = JsonParser.parseString(line).getAsJsonObject();
      try {
        tell("answer", (String) JSON.packPayload(call(wanted)));
      } catch (Exception error) {
        tell("error", quoted(error.toString()));
      }
    }
    dialling.interrupt();
    dialling.join();
    client.disconnect();
    System.exit(0);
  }

  private static Confirmation call(JsonObject wanted) throws Exception {
    Class<?> type =
        Class.forName("eu.chargetime.ocpp.model.core." + wanted.get("call").getAsString() + "Request");
    Request request = (Request) JSON.unpackPayload(wanted.get("payload"), type);
    return client.send(request).toCompletableFuture().get(20, TimeUnit.SECONDS);
  }

  /** Dial whenever the connection has ended, with a client of its own each time. */
  private static void keepOpen(String url, String identity) {
    try {
      while (true) {
        if (!open) {
          JSONClient dialled = new JSONClient(new ClientCoreProfile(handler()), identity);
          ended = false;
          dialled.connect(url, events(dialled));
          // A second dial beside one that still waits for its answer would be another charger of that name.
          for (int waited = 0; !open && !ended && waited < 5000; waited += 50) {
            Thread.sleep(50);
          }
          if (open) {
            // Not in connectionOpened: what is sent before connect() returns waits in its queue for another request.
            tell("up", "true");
          }
        }
        Thread.sleep(200);
      }
    } catch (InterruptedException end) {
      Thread.currentThread().interrupt();
    }
  }

  private static ClientEvents events(JSONClient dialled) {
    return new ClientEvents() {
      @Override
      public void connectionOpened() {
        client = dialled;
        open = true;
      }

      @Override
      public void connectionClosed() {
        open = false;
        ended = true;
      }
    };
  }

  /** The commands of the conversation; anything else is answered with an internal error. */
  private static ClientCoreEventHandler handler() {
    return (ClientCoreEventHandler)
        Proxy.newProxyInstance(
            Driver.class.getClassLoader(),
            new Class<?>[] {ClientCoreEventHandler.class},
            (proxy, method, given) -> {
              String action = method.getName().replaceAll("^handle|Request$", "");
              tell("command", quoted(action));
              switch (action) {
                case "ChangeConfiguration":
                  return new ChangeConfigurationConfirmation(ConfigurationStatus.Accepted);
                case "RemoteStartTransaction":
                  return new RemoteStartTransactionConfirmation(RemoteStartStopStatus.Accepted);
                case "Reset":
                  return new ResetConfirmation(ResetStatus.Accepted);
                default:
                  throw new UnsupportedOperationException(action);
              }
            });
  }

  private static String quoted(String text) {
    return (String) JSON.packPayload(text);
  }

  private static synchronized void tell(String key, String json) {
    System.out.println("{\"" + key + "\":" + json + "}");
  }
}
