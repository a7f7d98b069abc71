import { describe, expect, test } from 'vitest';
import { append, discard, eachMessage, nothingPending } from '../../../../server/io/frames.ts';
import { framed } from '../client.ts';

const message = (first: number, length = 12): Buffer => Buffer.alloc(length, first);

/** The messages from a stream that arrives in these chunks; -1 last if the length was bad. */
function messagesOf(chunks: readonly Buffer[]): (string | number)[] {
  const found: (string | number)[] = [];
  const pending = nothingPending();
  for (const chunk of chunks) {
    append(pending, chunk, 0);
    const rest = eachMessage(pending.bytes, 0, pending.length, (bytes, at, length) => {
      found.push(Buffer.from(bytes.subarray(at, at + length)).toString('hex'));
      return true;
    });
    if (rest < 0) return [...found, -1];
    if (rest > 0) discard(pending, rest);
  }
  return found;
}

describe('messages of a stream', () => {
  const messages = [message(1), message(2, 300), message(3, 65_535), message(4, 13)];
  const hex = messages.map((each) => each.toString('hex'));
  const stream = Buffer.concat(messages.map(framed));

  test('are the same wherever a segment is cut', () => {
    for (const cut of [
      0,
      1,
      2,
      3,
      13,
      14,
      15,
      16,
      17,
      315,
      316,
      317,
      318,
      400,
      65_852,
      65_853,
      65_854,
      stream.length,
    ]) {
      expect(messagesOf([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(hex);
    }
  });

  test('are complete if octets come one at a time', () => {
    const short = Buffer.concat([message(1), message(2, 30)].map(framed));
    expect(messagesOf([...short].map((octet) => Buffer.of(octet)))).toEqual([
      message(1).toString('hex'),
      message(2, 30).toString('hex'),
    ]);
  });

  test.each([0, 1, 11])('a length of %d ends it, after the messages before', (length) => {
    const bad = Buffer.of(0, length);
    expect(messagesOf([Buffer.concat([framed(message(1)), bad, framed(message(2))])])).toEqual([hex[0], -1]);
  });

  test('stop when the receiver says so, and continue from there', () => {
    const two = Buffer.concat([message(1), message(2)].map(framed));
    expect(eachMessage(two, 0, two.length, () => false)).toBe(14);
    expect(eachMessage(two, 14, two.length, () => false)).toBe(28);
  });

  test('an announced length takes no memory before its octets arrive', () => {
    const pending = nothingPending();
    append(pending, Buffer.of(0xff, 0xff, 1, 2, 3), 0);
    expect(pending.bytes.length).toBeLessThanOrEqual(512);
    discard(pending, pending.length);
    expect(pending.bytes.length).toBe(0);
  });
});
