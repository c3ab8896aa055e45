/** What both express apps share: nothing of express that guesses, sniffs or decorates, and JSON for every answer. */
import express from 'express';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, type ErrorCode } from '../domain/error-catalogue.ts';
import type { Log } from '../ports/log.ts';
import { announcesBody, discardBody, expectsContinue } from './body-collector.ts';
import { problemBody, problemHeaders } from './problem.ts';
import type { RequestIds } from './request-ids.ts';

export function plainApp(): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  return app;
}

export function answerText(res: ServerResponse, status: number, contentType: string, text: string, requestId: string): void {
  const body = Buffer.from(text);
  res.writeHead(status, { 'content-type': contentType, 'content-length': body.length, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-request-id': requestId });
  res.end(body);
}

export function answerJson(res: ServerResponse, status: number, value: unknown, requestId: string): void {
  answerText(res, status, 'application/json', `${JSON.stringify(value, null, 2)}\n`, requestId);
}

/** Answers with a problem and takes an unread body off the socket. */
export function answerProblem(req: IncomingMessage, res: ServerResponse, code: ErrorCode, detail: string, requestId: string, allow?: string): void {
  const problem = { code, detail, requestId };
  const body = problemBody(problem);
  if (allow !== undefined) res.setHeader('allow', allow);
  if (!req.complete && expectsContinue(req)) res.setHeader('connection', 'close');
  res.writeHead(ERRORS[code].status, problemHeaders(problem, body.length));
  res.end(body);
  if (announcesBody(req)) discardBody(req);
}

/** The end of an app: no route, and errors, without express's HTML pages. */
export function fallThrough(app: express.Express, deps: { readonly log: Log; readonly requestIds: RequestIds }): void {
  app.use((req: express.Request, res: express.Response) => {
    answerProblem(req, res, 'DHT_ERR_ROUTE_NOT_FOUND', `This port has no route for ${String(req.method)} of this path.`, deps.requestIds.next());
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, req: express.Request, res: express.Response, _next: express.NextFunction) => {
    const requestId = deps.requestIds.next();
    if (error instanceof URIError || (error instanceof Error && 'status' in error && error.status === 400)) {
      return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', 'The request target can not be decoded.', requestId);
    }
    deps.log.error('A request failed', { requestId, method: req.method, error: error instanceof Error ? error.stack : String(error) });
    if (res.headersSent) res.destroy();
    else answerProblem(req, res, 'DHT_ERR_INTERNAL', 'The log of the node has the details.', requestId);
  });
}
