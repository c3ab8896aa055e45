/**
 * The express app of the gateway port. Object requests are taken by the first middleware from the raw request target;
 * what is left is small. Nothing leaves as HTML: unknown routes and errors are problem details too.
 */
import type { RequestListener } from 'node:http';
import { answerJson, answerProblem, fallThrough, plainApp } from './plain-app.ts';
import { ObjectRoutes, type ObjectRoutesDeps, type ObjectRoutesOptions } from './object-routes.ts';
import { openApiDocument } from './openapi-document.ts';

export type GatewayDeps = ObjectRoutesDeps;
export type GatewayOptions = ObjectRoutesOptions & { readonly version: string };

export function createGatewayApp(deps: GatewayDeps, options: GatewayOptions): RequestListener {
  const objects = new ObjectRoutes(deps, options);
  const document = openApiDocument('gateway', options.version);
  const app = plainApp();
  app.use((req, res, next) => {
    if (!objects.tryHandle(req, res)) next();
  });
  app.get('/v1/openapi.json', (_req, res) => answerJson(res, 200, document, deps.requestIds.next()));
  app.all('/v1/openapi.json', (req, res) => answerProblem(req, res, 'DHT_ERR_METHOD_NOT_ALLOWED', 'GET is allowed.', deps.requestIds.next(), 'GET, HEAD'));
  fallThrough(app, deps);
  return app;
}
