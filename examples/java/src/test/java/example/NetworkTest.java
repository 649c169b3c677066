package example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** The vectors that all languages share. */
class NetworkTest {
  private final JsonNode vectors;

  NetworkTest() throws IOException {
    vectors = Network.JSON.readTree(new File("../vectors.json"));
  }

  @Test
  void tokens() {
    for (var vector : vectors.get("tokens")) {
      assertEquals(vector.get("token").asText(), Network.token(vector.get("identity").asText()));
    }
  }

  @Test
  void texts() {
    for (var vector : vectors.get("texts")) {
      assertEquals(vector.get("text").asText(), Network.text(vector.get("header").asText()));
    }
  }

  @Test
  void keys() {
    for (var vector : vectors.get("keys")) {
      var parts = Network.JSON.convertValue(vector.get("parts"), String[].class);
      assertEquals(vector.get("key").asText(), Network.key(parts));
    }
  }
}
