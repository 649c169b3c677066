// A server without any library for OCPP: gorilla/websocket and encoding/json. It parses a CALL and answers it; it
// validates nothing. Run: plain PORT
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{Subprotocols: []string{"ocpp1.6"}}

// answer is the frame for one CALL; nil for what is none.
func answer(frame []byte) ([]byte, error) {
	var call []json.RawMessage
	if err := json.Unmarshal(frame, &call); err != nil || len(call) != 4 {
		return nil, err
	}
	var id, action string
	var payload map[string]any
	for part, into := range map[int]any{1: &id, 2: &action, 3: &payload} {
		if err := json.Unmarshal(call[part], into); err != nil {
			return nil, err
		}
	}
	result := map[string]any{}
	if action == "Heartbeat" {
		result["currentTime"] = time.Now().UTC()
	}
	return json.Marshal([]any{3, id, result})
}

func serve(response http.ResponseWriter, request *http.Request) {
	socket, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	for {
		kind, frame, err := socket.ReadMessage()
		if err != nil {
			return
		}
		out, err := answer(frame)
		if err != nil || out == nil || socket.WriteMessage(kind, out) != nil {
			return
		}
	}
}

func main() {
	http.HandleFunc("/", serve)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
