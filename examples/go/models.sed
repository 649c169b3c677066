# A fact may violate its schema (ocpp-violation): a time may be any text, and what is missing must be nil, not 0.
/^import "time"$/d
s/time\.Time/string/
s/^([[:space:]]+[A-Za-z0-9]+) ([A-Za-z0-9]+) `/\1 *\2 `/
