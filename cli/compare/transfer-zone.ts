/**
 * Gets the records of a zone from a server by AXFR (RFC 5936), signed if there is a key (RFC 8945).
 */
import { randomInt } from 'node:crypto';
import { messageOf } from '../../config/unknown-values.ts';
import { formatEndpoint, type Endpoint } from '../../wire/address.ts';
import { HEADER_OCTETS } from '../../wire/limits.ts';
import { formatName, parseName, type Name } from '../../wire/name.ts';
import { put16 } from '../../wire/octets.ts';
import { readResponse, ResponseError, type ResponseRecord } from '../../wire/read-response.ts';
import {
  createSigner,
  createVerifier,
  TSIG_ALGORITHMS,
  tsigOctets,
  type TsigAlgorithm,
  type TsigKey,
} from '../../wire/tsig.ts';
import { CLASS, RCODE, TYPE } from '../../wire/types.ts';
import { messagesOverTcp } from './dns-client.ts';

/** Reads `name:secret` or `algorithm:name:secret`, with the secret in base64. Returns why not, as text. */
export function parseTsigKey(text: string): TsigKey | string {
  const parts = text.split(':');
  const [secret = '', label = '', algorithm = 'hmac-sha256'] = parts.toReversed();
  if (parts.length < 2 || parts.length > 3 || label === '') return 'expected NAME:SECRET or ALGORITHM:NAME:SECRET';
  if (!isAlgorithm(algorithm)) {
    return `unknown algorithm "${algorithm}"; use ${Object.keys(TSIG_ALGORITHMS).join(', ')}`;
  }
  const octets = Buffer.from(secret, 'base64');
  if (octets.length === 0 || !/^[A-Za-z0-9+/]+=*$/.test(secret)) return 'the secret must be in base64';
  try {
    const name = parseName(label.endsWith('.') ? label.toLowerCase() : `${label.toLowerCase()}.`);
    return { label, name, algorithm, secret: octets };
  } catch (error) {
    return messageOf(error);
  }
}

function isAlgorithm(text: string): text is TsigAlgorithm {
  return Object.hasOwn(TSIG_ALGORITHMS, text);
}

const RCODES = new Map<number, string>(Object.entries(RCODE).map(([name, number]) => [number, name]));

/** Calls `add` with every record. Throws with the reason if the transfer fails. */
export async function transferZone(
  endpoint: Endpoint,
  { apex, key, timeoutMs }: { readonly apex: Name; readonly key: TsigKey | undefined; readonly timeoutMs: number },
  add: (record: ResponseRecord) => void,
): Promise<void> {
  const fault = (why: string): Error =>
    new Error(`no transfer of ${formatName(apex)} from ${formatEndpoint(endpoint)}: ${why}`);
  const query = new Uint8Array(HEADER_OCTETS + apex.length + 4 + (key ? tsigOctets(key) : 0));
  put16(query, 0, randomInt(0x1_0000));
  put16(query, 4, 1);
  query.set(apex, HEADER_OCTETS);
  put16(query, HEADER_OCTETS + apex.length, TYPE.AXFR);
  put16(query, HEADER_OCTETS + apex.length + 2, CLASS.IN);
  const now = (): number => Math.floor(Date.now() / 1000);
  const signer = key && createSigner(key, now);
  signer?.sign(query, HEADER_OCTETS + apex.length + 4);
  const verifier = key && signer && createVerifier(key, signer.mac());
  let soas = 0;
  try {
    for await (const message of messagesOverTcp(endpoint, query, timeoutMs)) {
      const { rcode, answer } = readResponse(message);
      if (rcode !== RCODE.NOERROR) throw fault(RCODES.get(rcode) ?? `RCODE ${rcode}`);
      const verdict = verifier?.verify(message, now()) ?? 'valid';
      if (verdict === 'invalid') throw fault('a message is not signed with the key');
      if (answer.length === 0) throw fault('a message has no records');
      for (const record of answer) {
        if (record.type === TYPE.SOA) soas++;
        else if (soas === 0) throw fault('it does not begin with the SOA');
        add(record);
      }
      // RFC 5936 2.2: the SOA again is the end.
      if (soas >= 2) {
        if (verdict === 'unsigned') throw fault('its last message is not signed');
        return;
      }
    }
  } catch (error) {
    if (error instanceof ResponseError) throw fault(`malformed: ${error.message}`);
    throw error;
  }
  throw fault('the connection ended before the last record');
}
