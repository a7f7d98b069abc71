/**
 * Errors of the API as RFC 9457 problem details: the mistake, its place, and what to do.
 */
import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import { plainText } from '../config/plain-text.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Members of RFC 9457 3.1, and extensions (3.2): `parameter`, `hint` and those of a route. */
export type Problem = {
  readonly type: 'about:blank';
  /** The phrase of the status code, as RFC 9457 4.2.1 requires for `about:blank`. */
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The invalid path parameter, query parameter or member of the body. */
  readonly parameter?: string;
  /** What to do. */
  readonly hint?: string;
  readonly [extension: string]: unknown;
};

/** Additional members. */
export type ProblemExtras = {
  readonly parameter?: string;
  readonly hint?: string;
  readonly [extension: string]: unknown;
};

export function problem(status: number, detail: string, extras: ProblemExtras = {}): Problem {
  const { parameter, hint, ...more } = extras;
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: plainText(detail),
    ...(parameter === undefined ? {} : { parameter: plainText(parameter) }),
    ...(hint === undefined ? {} : { hint: plainText(hint) }),
    ...more,
  };
}

/** Thrown by handlers; the server's error handler sends it. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  constructor(status: number, detail: string, extras?: ProblemExtras) {
    super(detail);
    this.problem = problem(status, detail, extras);
  }
}

export async function sendProblem(reply: FastifyReply, sent: Problem): Promise<void> {
  reply.request.refusal = sent.detail;
  // As octets: Fastify adds a charset to text, but this media type has none.
  await reply
    .code(sent.status)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(sent)));
}
