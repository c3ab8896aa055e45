/** The express app of a process that is no node and only publishes numbers. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Log } from '../ports/log.ts';
import type { MetricsPage } from './admin-app.ts';
import { answerJson, answerProblem, answerText, fallThrough, plainApp } from './plain-app.ts';
import type { RequestIds } from './request-ids.ts';

export function createMetricsApp(deps: { readonly log: Log; readonly metrics: MetricsPage; readonly requestIds: RequestIds }): RequestListener {
  const { metrics, requestIds } = deps;
  const app = plainApp();
  const get = (path: string, answer: (res: ServerResponse, requestId: string) => Promise<void> | void): void => {
    app.get(path, (_req: IncomingMessage, res: ServerResponse) => answer(res, requestIds.next()));
    app.all(path, (req: IncomingMessage, res: ServerResponse) => answerProblem(req, res, 'DHT_ERR_METHOD_NOT_ALLOWED', `${String(req.method)} is not one of GET, HEAD.`, requestIds.next(), 'GET, HEAD'));
  };
  get('/livez', (res, requestId) => answerJson(res, 200, { status: 'ok', reason: 'the process answers' }, requestId));
  get('/metrics', async (res, requestId) => answerText(res, 200, metrics.contentType, await metrics.text(), requestId));
  fallThrough(app, deps);
  return app;
}
