/**
 * The two messages of grpc.health.v1 (https://github.com/grpc/grpc-proto, grpc/health/v1/health.proto), and gRPC's
 * framing and status codes. Pure.
 */
import { ProbeFailure } from './probe.ts';

/** HealthCheckResponse.ServingStatus, by number. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** Status codes of gRPC, by number. */
const GRPC_STATUS =
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'.split(
    ' ',
  );
/** Characters of the server's message that a reason quotes. */
const MAX_QUOTED = 120;

/** HealthCheckRequest { string service = 1; } with its length prefix. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  // An empty field is omitted. A length below 2^14 is at most two octets of seven bits.
  const field =
    name.length === 0
      ? []
      : name.length < 128
        ? [0x0a, name.length, ...name]
        : [0x0a, (name.length & 0x7f) | 0x80, name.length >> 7, ...name];
  const frame = Buffer.alloc(5 + field.length);
  frame.writeUInt32BE(field.length, 1);
  frame.set(field, 5);
  return frame;
}

/** HealthCheckResponse { ServingStatus status = 1; } as text; undefined: not this message, or compressed. */
export function servingStatus(frame: Buffer): string | undefined {
  if (frame.length < 5 || frame[0] !== 0 || frame.length !== 5 + frame.readUInt32BE(1)) return undefined;
  const message = frame.subarray(5);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const octet = message[at++] ?? 0;
      value += (octet & 0x7f) * 2 ** shift;
      if (octet < 0x80) return value;
    }
    return NaN;
  };
  let status = 0;
  while (at < message.length) {
    const tag = varint();
    const value = tag % 8 === 0 || tag % 8 === 2 ? varint() : NaN;
    // Unknown fields are skipped.
    if (tag === 8) status = value;
    else if (tag % 8 === 1) at += 8;
    else if (tag % 8 === 5) at += 4;
    else if (tag % 8 === 2) at += value;
    else if (tag % 8 !== 0) return undefined;
    if (Number.isNaN(at) || at > message.length) return undefined;
  }
  return SERVING_STATUS[status] ?? `status ${String(status)}`;
}

/** The failure of a call with this status; undefined for OK. `message` is percent-encoded, as in gRPC over HTTP/2. */
export function failureOfCall(status: string, message: string, service: string): ProbeFailure | undefined {
  if (status === '0') return undefined;
  if (status === '5') return new ProbeFailure(`the server does not know the service ${JSON.stringify(service)}`);
  if (status === '12') return new ProbeFailure('the server has no grpc.health.v1');
  const name = GRPC_STATUS[Number(status)] ?? `gRPC status ${status.slice(0, 10)}`;
  const said = decode(message)
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_QUOTED);
  return new ProbeFailure(`answered ${name}${said === '' ? '' : `: ${said}`}`);
}

function decode(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
