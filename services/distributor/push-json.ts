import { parseRfc3339 } from '../../logql/units/rfc3339.ts';
import { JsonBytes } from './json-bytes.ts';
import { PushError } from './push-error.ts';
import { PushRows } from './push-rows.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/**
 * The two JSON shapes of a push. Both hand out offsets into `body`, in which escapes of lines and metadata are undone:
 * the caller gives the buffer away.
 *
 *     /loki/api/v1/push   {"streams": [{"stream": {"app": "x"}, "values": [["<ns>", "<line>", {"<name>": "<value>"}]]}]}
 *     /api/prom/push      {"streams": [{"labels": "{app=\"x\"}", "entries": [{"ts": "<RFC 3339>", "line": "…", "structuredMetadata": {…}}]}]}
 *
 * As in Loki, what follows the document is not looked at, unknown members are passed over, and `null` is nothing.
 */
export type JsonShape = 'v1' | 'legacy';

export function* decodePushJson(body: Buffer, shape: JsonShape): Sliced<PushRows> {
  const json = new JsonBytes(body);
  const rows = new PushRows(body);
  const first = json.peek();
  if (first < 0) throw new PushError(400, 'EOF');
  if (json.kind() === 'null') {
    json.skip();
    return rows;
  }
  if (!json.enterObject()) return rows;
  do {
    json.key();
    if (keyText(json).toLowerCase() !== 'streams' || json.kind() === 'null') {
      json.skip();
      continue;
    }
    rows.clear(); // of a repeated member the last counts
    if (!json.enterArray()) continue;
    do {
      if (shape === 'v1') yield* v1Stream(json, rows);
      else yield* legacyStream(json, rows);
      yield;
    } while (json.nextElement());
  } while (json.nextMember());
  return rows;
}

function* v1Stream(json: JsonBytes, rows: PushRows): Sliced<void> {
  const stream = rows.addStream();
  if (!json.enterObject()) return;
  do {
    json.key();
    switch (keyText(json)) {
      case 'stream':
        if (json.kind() !== 'object') throw json.fail('stream is not an object');
        stream.labelsForm = 'json-object';
        stream.labelsStart = json.at;
        json.skip();
        stream.labelsEnd = json.at;
        break;
      case 'values': {
        stream.firstRow = rows.rowCount;
        if (json.kind() === 'null') {
          json.skip();
          break;
        }
        if (!json.enterArray()) break;
        let pause = json.at + SLICE_BYTES;
        do {
          v1Entry(json, rows);
          if (json.at > pause) {
            pause = json.at + SLICE_BYTES;
            yield;
          }
        } while (json.nextElement());
        break;
      }
      default:
        json.skip();
    }
  } while (json.nextMember());
  stream.rowCount = rows.rowCount - stream.firstRow;
}

/** `["<ns>", "<line>", {metadata}, …]`; all of it may be missing. */
function v1Entry(json: JsonBytes, rows: PushRows): void {
  const row = rows.addRow();
  if (!json.enterArray()) return;
  json.string();
  setNanoseconds(json, rows, row);
  if (!json.nextElement()) return;
  json.string();
  rows.lineStarts[row] = json.textStart;
  rows.lineLengths[row] = json.textLength;
  if (!json.nextElement()) return;
  metadata(json, rows);
  while (json.nextElement()) json.skip();
}

/** Digits of nanoseconds since 1970, with an optional minus, within 64 bits. */
function setNanoseconds(json: JsonBytes, rows: PushRows, row: number): void {
  const bytes = json.bytes;
  const end = json.textStart + json.textLength;
  let at = json.textStart;
  const negative = bytes[at] === 0x2d;
  if (negative) at++;
  while (end - at > 1 && bytes[at] === 0x30) at++;
  const digits = end - at;
  if (digits < 1 || digits > 19) throw json.fail('timestamp is not a number of nanoseconds');
  let seconds = 0;
  let nanos = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) throw json.fail('timestamp is not a number of nanoseconds');
    if (end - at > 9) seconds = seconds * 10 + digit;
    else nanos = nanos * 10 + digit;
  }
  const beyond = negative ? nanos > 854775808 : nanos > 854775807;
  if (seconds > 9223372036 || (seconds === 9223372036 && beyond)) throw json.fail('timestamp passes 64 bits');
  if (negative) {
    seconds = nanos > 0 ? -seconds - 1 : -seconds;
    nanos = nanos > 0 ? 1e9 - nanos : 0;
  }
  rows.seconds[row] = seconds;
  rows.nanos[row] = nanos;
}

/** An object of strings, as pairs of the last row. */
function metadata(json: JsonBytes, rows: PushRows): void {
  if (!json.enterObject()) return;
  do {
    json.key();
    const nameStart = json.textStart;
    const nameLength = json.textLength;
    json.string();
    rows.addPair(nameStart, nameLength, json.textStart, json.textLength);
  } while (json.nextMember());
}

function* legacyStream(json: JsonBytes, rows: PushRows): Sliced<void> {
  const stream = rows.addStream();
  stream.labelsForm = 'selector';
  if (json.kind() === 'null') {
    json.skip();
    return;
  }
  if (!json.enterObject()) return;
  do {
    json.key();
    const name = keyText(json).toLowerCase();
    if ((name !== 'labels' && name !== 'entries') || json.kind() === 'null') {
      json.skip();
    } else if (name === 'labels') {
      json.string();
      stream.labelsStart = json.textStart;
      stream.labelsEnd = json.textStart + json.textLength;
    } else {
      stream.firstRow = rows.rowCount;
      if (!json.enterArray()) continue;
      let pause = json.at + SLICE_BYTES;
      do {
        legacyEntry(json, rows);
        if (json.at > pause) {
          pause = json.at + SLICE_BYTES;
          yield;
        }
      } while (json.nextElement());
    }
  } while (json.nextMember());
  stream.rowCount = rows.rowCount - stream.firstRow;
}

function legacyEntry(json: JsonBytes, rows: PushRows): void {
  const row = rows.addRow();
  if (json.kind() === 'null') {
    json.skip();
    return;
  }
  if (!json.enterObject()) return;
  do {
    json.key();
    const name = keyText(json).toLowerCase();
    if (json.kind() === 'null') {
      json.skip();
      continue;
    }
    switch (name) {
      case 'ts': {
        json.string();
        const time = parseRfc3339(json.bytes.toString('latin1', json.textStart, json.textStart + json.textLength));
        if (time === null) throw json.fail('timestamp is not RFC 3339');
        rows.seconds[row] = time.seconds;
        rows.nanos[row] = time.nanos;
        break;
      }
      case 'line':
        json.string();
        rows.lineStarts[row] = json.textStart;
        rows.lineLengths[row] = json.textLength;
        break;
      case 'structuredmetadata':
        metadata(json, rows);
        break;
      default:
        json.skip();
    }
  } while (json.nextMember());
}

const keyText = (json: JsonBytes): string =>
  json.bytes.toString('latin1', json.textStart, json.textStart + Math.min(json.textLength, 64));
