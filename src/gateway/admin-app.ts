/**
 * The express app of the admin port: health, metrics, the node and the ring. Reading is open to whoever reaches the
 * port; every POST is guarded, off loopback by the admin token, on loopback against web pages that make a browser post
 * here (foreign Origin, or a Host name that isn't this machine: DNS rebinding).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { FILES_PAGE_MAX } from '../domain/limits.ts';
import { parseAddress } from '../domain/node-address.ts';
import type { HealthView, NodeService } from '../node/node-service.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { collectBody } from './body-collector.ts';
import { EventStreams } from './event-stream.ts';
import { parseObjectName } from './object-name.ts';
import { openApiDocument } from './openapi-document.ts';
import { answerJson, answerProblem, answerText, fallThrough, plainApp } from './plain-app.ts';
import type { RequestIds } from './request-ids.ts';
import { STATUS_PAGE, STATUS_PAGE_POLICY } from './status-page.ts';
import { rawQueryValue, requestTarget } from './request-target.ts';

/** Bytes of a POST's body: a hundred seeds fit. */
const JSON_BYTES_MAX = 64 * 1024;
const SEEDS_MAX = 100;

/** What GET /metrics serves. */
export interface MetricsPage {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface AdminDeps {
  readonly clock: Clock;
  /** Null while the node is starting. */
  readonly node: () => NodeService | null;
  readonly log: Log;
  readonly metrics: MetricsPage;
  readonly requestIds: RequestIds;
  /** What the process without a node waits for; null: the node is starting. */
  readonly waitsFor: () => string | null;
  /** Why no new work should come here though the node serves; null: nothing speaks against it. */
  readonly drains: () => string | null;
}

export interface AdminOptions {
  /** What a POST needs. Null: bound to loopback, no token. It may not be known before there is a node. */
  readonly adminToken: () => string | null;
  readonly version: string;
}

type Handler = (node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string) => Promise<void> | void;

const STARTING: HealthView = { isOk: false, reason: 'the node is starting' };

export function createAdminApp(deps: AdminDeps, options: AdminOptions): RequestListener {
  const app = plainApp();
  const document = openApiDocument('admin', options.version);
  const streams = new EventStreams(deps.clock);

  const onlyMethod = (path: string, allow: string): void => {
    app.all(path, (req, res) => answerProblem(req, res, 'DHT_ERR_METHOD_NOT_ALLOWED', `${String(req.method)} is not one of ${allow}.`, deps.requestIds.next(), allow));
  };
  const get = (path: string, handler: (req: IncomingMessage, res: ServerResponse, requestId: string) => Promise<void> | void): void => {
    app.get(path, (req, res) => handler(req, res, deps.requestIds.next()));
    onlyMethod(path, 'GET, HEAD');
  };
  const withNode = (handler: Handler) => (req: IncomingMessage, res: ServerResponse, requestId: string) => {
    const node = deps.node();
    if (node === null) return answerProblem(req, res, 'DHT_ERR_NOT_READY', 'The node is starting.', requestId);
    return handler(node, req, res, requestId);
  };
  const post = (path: string, handler: Handler): void => {
    app.post(path, (req, res) => {
      const requestId = deps.requestIds.next();
      const refusal = postRefusal(req, options.adminToken());
      if (refusal !== null) return answerProblem(req, res, 'DHT_ERR_UNAUTHORIZED', refusal, requestId);
      return withNode(handler)(req, res, requestId);
    });
    onlyMethod(path, 'POST');
  };
  const health = (path: string, read: (node: NodeService) => HealthView, waiting: HealthView['isOk']): void => {
    get(path, (_req, res, requestId) => {
      const node = deps.node();
      const waitsFor = deps.waitsFor();
      const { isOk, reason } = node !== null ? read(node) : waitsFor === null ? STARTING : { isOk: waiting, reason: waitsFor };
      answerJson(res, isOk ? 200 : 503, { status: isOk ? 'ok' : 'unavailable', reason }, requestId);
    });
  };

  get('/', (_req, res, requestId) => {
    res.setHeader('content-security-policy', STATUS_PAGE_POLICY);
    res.setHeader('referrer-policy', 'no-referrer');
    answerText(res, 200, 'text/html; charset=utf-8', STATUS_PAGE, requestId);
  });
  // Alive as long as it answers: restarting the process would cure nothing that shows here.
  get('/livez', (_req, res, requestId) => answerJson(res, 200, { status: 'ok', reason: 'the process answers' }, requestId));
  health('/readyz', (node) => {
    const drains = deps.drains();
    return drains === null ? node.readiness() : { isOk: false, reason: drains };
  }, false);
  // Waiting for others is no failure to start: a restart would cure nothing.
  health('/startupz', (node) => node.startup(), true);
  health('/healthz/cluster', (node) => node.clusterHealth(), false);
  get('/metrics', async (_req, res, requestId) => answerText(res, 200, deps.metrics.contentType, await deps.metrics.text(), requestId));
  get('/v1/openapi.json', (_req, res, requestId) => answerJson(res, 200, document, requestId));
  get('/v1/ring', withNode((node, _req, res, requestId) => answerJson(res, 200, node.ring(), requestId)));
  get('/v1/ring/lookup', withNode(lookUp));
  get('/v1/events', withNode((node, req, res, requestId) => { streams.serve(node, req, res, requestId); }));
  get('/v1/node', withNode(showNode));
  post('/v1/node/join', join);
  post('/v1/node/leave', leave);
  post('/v1/ring/recover', recover);
  fallThrough(app, deps);
  return app;
}

async function lookUp(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): Promise<void> {
  const encoded = rawQueryValue(requestTarget(req.url ?? '').query, 'name');
  const name = parseObjectName(encoded ?? '');
  if (name.kind === 'refused') return answerProblem(req, res, name.code, name.detail, requestId);
  answerJson(res, 200, await node.explain(name.name), requestId);
}

async function showNode(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): Promise<void> {
  const { query } = requestTarget(req.url ?? '');
  const files = rawQueryValue(query, 'files') ?? 'false';
  if (files !== 'true' && files !== 'false') return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', 'files is neither true nor false.', requestId);
  if (files === 'false') return answerJson(res, 200, node.view(), requestId);
  const limitText = rawQueryValue(query, 'limit') ?? String(FILES_PAGE_MAX);
  const limit = /^\d{1,6}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > FILES_PAGE_MAX) return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', `limit is no integer from 1 to ${FILES_PAGE_MAX}.`, requestId);
  const cursor = rawQueryValue(query, 'cursor');
  if (cursor !== null && !/^[A-Za-z0-9_.~=-]{1,200}$/.test(cursor)) return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', 'cursor is not one that this route gave.', requestId);
  const page = await node.files(cursor, limit);
  answerJson(res, 200, { ...node.view(), ...page }, requestId);
}

async function join(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): Promise<void> {
  const body = await collectBody(req, res, JSON_BYTES_MAX);
  if (body.kind === 'broken') return;
  if (body.kind === 'too-large') return answerProblem(req, res, 'DHT_ERR_TOO_LARGE', `The body is longer than ${JSON_BYTES_MAX} bytes.`, requestId);
  const seeds = parseSeeds(body.bytes);
  if (typeof seeds === 'string') return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', seeds, requestId);
  const outcome = await node.join(seeds);
  if (outcome.kind === 'failed') return answerProblem(req, res, outcome.code, outcome.detail, requestId);
  answerJson(res, 200, node.view(), requestId);
}

async function leave(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): Promise<void> {
  const body = await collectBody(req, res, JSON_BYTES_MAX);
  if (body.kind === 'broken') return;
  const outcome = await node.leave();
  if (outcome.kind === 'failed') return answerProblem(req, res, outcome.code, outcome.detail, requestId);
  answerJson(res, 202, node.view(), requestId);
}

async function recover(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): Promise<void> {
  const body = await collectBody(req, res, JSON_BYTES_MAX);
  if (body.kind === 'broken') return;
  const acceptDataLoss = body.kind === 'too-large' ? null : parseAcceptance(body.bytes);
  if (acceptDataLoss === null) return answerProblem(req, res, 'DHT_ERR_REQUEST_INVALID', 'The body has to be { "acceptDataLoss": true }, or {} to learn what would be lost.', requestId);
  const outcome = await node.recover(acceptDataLoss);
  if (outcome.kind === 'failed') return answerProblem(req, res, outcome.code, outcome.detail, requestId);
  answerJson(res, 200, node.ring(), requestId);
}

/** Null: the body is none that this route takes. Only a plain true accepts the loss. */
function parseAcceptance(bytes: Buffer): boolean | null {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const accept: unknown = 'acceptDataLoss' in value ? value.acceptDataLoss : false;
  return typeof accept === 'boolean' ? accept : null;
}

/** The seeds, or what is wrong with the body. */
function parseSeeds(bytes: Buffer): readonly string[] | string {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'The body is not JSON.';
  }
  const seeds: unknown = typeof value === 'object' && value !== null && 'seeds' in value ? value.seeds : undefined;
  if (!Array.isArray(seeds) || !seeds.every((seed) => typeof seed === 'string')) return 'The body has to be { "seeds": ["host:port", ...] }.';
  if (seeds.length > SEEDS_MAX) return `seeds has ${seeds.length} addresses, at most ${SEEDS_MAX} are allowed.`;
  const wrong = seeds.find((seed) => (parseAddress(seed)?.port ?? 0) === 0);
  return wrong === undefined ? seeds : `seeds has "${wrong}", which is not host:port.`;
}

/** Why a POST is refused; null when it may go on. */
function postRefusal(req: IncomingMessage, adminToken: string | null): string | null {
  const { authorization, origin, host } = req.headers;
  if (adminToken !== null) {
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
    return isSame(given, adminToken) ? null : 'POST on this port needs the admin token, which is derived from the cluster secret.';
  }
  if (origin !== undefined && origin !== `http://${host ?? ''}`) return 'The request comes from a web page of another origin.';
  if (!/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i.test(host ?? '')) return 'Without an admin token, POST is for this machine: the Host header has to be localhost or a loopback address.';
  return null;
}

/** Equal texts, in a time that doesn't tell how much of them is. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

