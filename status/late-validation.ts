/**
 * Compiles the schema of a route's parameters and body after the start, or when the first request needs it. Fastify
 * would compile all schemas at the start, which takes a quarter of the start's CPU time. The compiler alone takes 40
 * ms: an order during a flood would wait for it.
 */
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyServerOptions } from 'fastify';

type Factory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;
/** Fastify's type for `buildValidator` names the types of its compiler; these are the parts that Fastify uses. */
type Build = (externalSchemas: unknown, options: unknown) => (route: unknown) => Validate;
/** False, with `errors`, if the data does not match the schema. */
type Validate = ((data: unknown) => unknown) & { errors?: unknown };

export type LateValidator = {
  /** The option `schemaController.compilersFactory.buildValidator` of Fastify. */
  readonly build: NonNullable<Factory['buildValidator']>;
  /** Compiles all schemas, one per turn of the event loop. Never rejects: a request reports what is wrong. */
  readonly prepare: () => Promise<void>;
};

export function createLateValidator(): LateValidator {
  const routes: (() => void)[] = [];
  const build: Build = (externalSchemas, options) => {
    let compile: ReturnType<Build> | undefined;
    return (route) => {
      let compiled: Validate | undefined;
      const prepared = (): Validate => {
        compile ??= usualBuilder()(externalSchemas, options);
        return (compiled ??= compile(route));
      };
      const validate: Validate = (data) => {
        const check = prepared();
        const result = check(data);
        validate.errors = check.errors;
        return result;
      };
      routes.push(prepared);
      return validate;
    };
  };
  return {
    build: build as unknown as LateValidator['build'],
    prepare: async () => {
      try {
        for (const prepared of routes) {
          prepared();
          await nextTurn();
        }
      } catch {
        // For example no descriptor is free.
      }
    },
  };
}

let usual: Build | undefined;

/** The builder that Fastify uses by default, resolved as Fastify resolves it. It compiles each schema once. */
function usualBuilder(): Build {
  if (usual) return usual;
  const requireAsFastify = createRequire(createRequire(import.meta.url).resolve('fastify'));
  const create = requireAsFastify('@fastify/ajv-compiler') as () => Build;
  return (usual = create());
}
