/**
 * Dynamic updates over streams: the control thread answers those with a valid signature. `answerPeers` answers all
 * others.
 */
import type { AnswerLong, AskControl, Deferred } from '../contract.ts';
import { isUpdateMessage } from './answer-peers.ts';
import { readPeerRequest } from './peer-request.ts';
import type { TransferPayload } from './transfer.ts';

export function deferUpdates(ask: AskControl, { settings }: TransferPayload, nowSeconds: () => number): AnswerLong {
  return (client, rx, rxAt, length) => {
    if (length < 12 || !isUpdateMessage(rx, rxAt)) return undefined;
    const { message, verdict } = readPeerRequest(rx, rxAt, length, settings.keys, nowSeconds());
    if (verdict?.kind !== 'valid') return undefined;
    const { bytes, at, octets } = client.peer;
    const peer = Uint8Array.from(bytes.subarray(at, at + octets));
    return send({ kind: 'deferred', message, peer, transport: client.transport });
    async function send(question: Deferred): Promise<void> {
      const reply = await ask(question);
      if (reply instanceof Uint8Array) await client.send(reply);
    }
  };
}
