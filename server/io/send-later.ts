/**
 * Sends responses to datagrams from the control thread, on the sockets of the packet loops.
 */
import { libc, MSG_DONTWAIT } from '../../config/libc.ts';
import { UDP_OCTETS } from '../../wire/limits.ts';
import type { DatagramRoute } from '../contract.ts';
import { createMessages, fillFirst, type MessageVector } from './message-vector.ts';

/** Sends a response, and returns whether it was sent. */
export type SendLater = (response: Uint8Array, route: DatagramRoute) => boolean;

export function createSendLater(): SendLater {
  let messages: MessageVector | undefined;
  return (response, route) => {
    if (response.length > UDP_OCTETS) return false;
    messages ??= createMessages();
    fillFirst(messages, response, route);
    return libc().sendmmsg(route.fd, messages.addresses[0] ?? 0n, 1, MSG_DONTWAIT) === 1;
  };
}
