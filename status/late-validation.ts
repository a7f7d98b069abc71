/**
 * Compiles the schema of a route's parameters and body when the first request needs it. Fastify would compile all
 * schemas at the start, which takes a quarter of the start's CPU time, and most routes of most servers never get a
 * request.
 */
import { createRequire } from 'node:module';
import type { FastifyServerOptions } from 'fastify';

type Factory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;
/** Fastify's type for `buildValidator` names the types of its compiler; these are the parts that Fastify uses. */
type Build = (externalSchemas: unknown, options: unknown) => (route: unknown) => Validate;
/** False, with `errors`, if the data does not match the schema. */
type Validate = ((data: unknown) => unknown) & { errors?: unknown };

const buildLate: Build = (externalSchemas, options) => {
  let compile: ReturnType<Build> | undefined;
  return (route) => {
    let compiled: Validate | undefined;
    const validate: Validate = (data) => {
      compile ??= usualBuilder()(externalSchemas, options);
      compiled ??= compile(route);
      const result = compiled(data);
      validate.errors = compiled.errors;
      return result;
    };
    return validate;
  };
};

/** The option `schemaController.compilersFactory.buildValidator` of Fastify. */
export const buildLateValidator = buildLate as unknown as NonNullable<Factory['buildValidator']>;

/** The builder that Fastify uses by default, resolved as Fastify resolves it. */
function usualBuilder(): Build {
  const requireAsFastify = createRequire(createRequire(import.meta.url).resolve('fastify'));
  const create = requireAsFastify('@fastify/ajv-compiler') as () => Build;
  return create();
}
