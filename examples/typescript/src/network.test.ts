// The vectors that all languages share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { key, text, token } from "./network.js";

interface Vectors {
    tokens: { identity: string; token: string }[];
    texts: { header: string; text: string }[];
    keys: { parts: string[]; key: string }[];
}

const file = new URL("../../vectors.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vectors;

for (const vector of vectors.tokens) {
    test(`token of ${vector.identity}`, () => assert.equal(token(vector.identity), vector.token));
}
for (const vector of vectors.texts) {
    test(`text of ${vector.header}`, () => assert.equal(text(vector.header), vector.text));
}
for (const vector of vectors.keys) {
    test(`key ${vector.key}`, () => assert.equal(key(...vector.parts), vector.key));
}
