/**
 * Requests that change something, as the audit log records them: who, from where, what, and with which outcome.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { createLineLimit } from './line-limit.ts';
import { accessOf } from './request-rules.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The detail of the problem document that was sent; null without one. */
    refusal: string | null;
  }
}

export type AuditedRequest = {
  /** The name of the token or client certificate; null without one. */
  readonly who: string | null;
  /** The address of the client. */
  readonly peer: string;
  readonly method: string;
  readonly url: string;
  /** The body; null without one, and for a large one. */
  readonly body: unknown;
  readonly status: number;
  readonly outcome: 'done' | 'refused' | 'failed';
  readonly detail: string | null;
};

/** Of the body in JSON. */
const MAX_BODY_LETTERS = 4000;
const MAX_URL_LETTERS = 1000;
/** For requests without a valid token: any client can send them. */
const LINES_PER_MINUTE = 10;
/** Backends send reports all the time: only refused ones are recorded. */
const REPORTS = '/api/v1/push/*';

export function auditChanges(app: FastifyInstance, record: (request: AuditedRequest) => void): void {
  const mayRecord = createLineLimit(LINES_PER_MINUTE);
  app.addHook('onResponse', (request, reply, done) => {
    const access = accessOf(request);
    const { statusCode: status } = reply;
    const isChange = request.method !== 'OPTIONS' && !request.is404 && (access === 'operate' || access === 'update');
    const isReport = request.routeOptions.url === REPORTS && status < 400;
    if (isChange && !isReport && (request.who !== null || mayRecord())) {
      record({ ...describe(request), status, outcome: outcomeOf(status), detail: request.refusal });
    }
    done();
  });
}

function describe(request: FastifyRequest): Pick<AuditedRequest, 'who' | 'peer' | 'method' | 'url' | 'body'> {
  const { who, method, url, body } = request;
  const isSmall = JSON.stringify(body ?? null).length <= MAX_BODY_LETTERS;
  return {
    ...{ who, peer: request.socket.remoteAddress ?? '', method },
    url: url.slice(0, MAX_URL_LETTERS),
    body: isSmall ? (body ?? null) : null,
  };
}

function outcomeOf(status: number): AuditedRequest['outcome'] {
  return status < 400 ? 'done' : status < 500 ? 'refused' : 'failed';
}
