/**
 * A gRPC health server of somebody else's making, so that the probe does not judge itself: @grpc/grpc-js, with the
 * messages as its proto-loader reads them from the published definition.
 */
import { Server, ServerCredentials, status, type ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { Certificate } from './support.ts';

/** grpc/health/v1/health.proto, as protobuf.js has it. */
const definition = fromJSON(
  {
    nested: {
      grpc: {
        nested: {
          health: {
            nested: {
              v1: {
                nested: {
                  HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
                  HealthCheckResponse: {
                    fields: { status: { type: 'ServingStatus', id: 1 } },
                    nested: {
                      ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
                    },
                  },
                  Health: {
                    methods: {
                      Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse', comment: '' },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
  { defaults: true },
);

/** What it says of each service; `hang` never answers, a number is a gRPC status. */
export type Answers = Readonly<Record<string, 'SERVING' | 'NOT_SERVING' | 'UNKNOWN' | 'hang' | number>>;

/** Listens on a port of its own; without `answers` it has no health service. */
export async function startGrpcServer(answers: () => Answers | undefined, certificate?: Certificate) {
  const server = new Server();
  if (answers() !== undefined) {
    server.addService(definition['grpc.health.v1.Health'] as ServiceDefinition, {
      Check: (call: { request: { service: string } }, done: (error: object | null, value?: object) => void) => {
        const answer = answers()?.[call.request.service];
        if (answer === 'hang') return;
        if (answer === undefined) done({ code: status.NOT_FOUND, details: 'unknown service' });
        else if (typeof answer === 'number') done({ code: answer, details: 'später, 50 %' });
        else done(null, { status: answer });
      },
    });
  }
  const pair = certificate && { private_key: Buffer.from(certificate.key), cert_chain: Buffer.from(certificate.cert) };
  const credentials = pair ? ServerCredentials.createSsl(null, [pair]) : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    port,
    close: () => {
      server.forceShutdown();
    },
  };
}
