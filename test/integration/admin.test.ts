import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ERRORS } from '../../src/domain/error-catalogue.ts';
import { errorsDocument } from '../../src/gateway/errors-document.ts';
import { openApiDocument, type OpenApiDocument } from '../../src/gateway/openapi-document.ts';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

let edge: EdgeFixture;

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const post = (route: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> => edge.admin(route, { method: 'POST', headers, ...(body !== undefined && { body: JSON.stringify(body) }) });

describe('the admin port', () => {
  test('has a page for people, which may load and run nothing of others', async () => {
    const page = await edge.admin('/');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('<!doctype html>');
  });

  test('shows the node, with its files page by page on request', async () => {
    for (const name of ['a', 'b', 'c']) await edge.object(name, { method: 'PUT', body: '1' });
    expect(await (await edge.admin('/v1/node')).json()).toEqual(edge.node.view());
    const first = (await (await edge.admin('/v1/node?files=true&limit=2')).json()) as { files: string[]; cursor: string };
    expect(first.files).toEqual(['a', 'b']);
    const second = (await (await edge.admin(`/v1/node?files=true&limit=2&cursor=${first.cursor}`)).json()) as { files: string[]; backUpFiles: string[]; cursor: null };
    expect(second).toMatchObject({ host: 'localhost', files: ['c'], backUpFiles: [], cursor: null });
  });

  test.each(['/v1/node?files=yes', '/v1/node?files=true&limit=0', '/v1/node?files=true&limit=10001', '/v1/node?files=true&cursor=%00'])('refuses %s', async (route) => {
    expect(await problemOf(await edge.admin(route))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
  });

  test('shows the ring, and explains a name that is decoded once', async () => {
    expect(await (await edge.admin('/v1/ring')).json()).toEqual(edge.node.ring());
    expect(await (await edge.admin('/v1/ring/lookup?name=a%2525+b%2Fc')).json()).toMatchObject({ name: 'a%25 b/c', key: 7 });
    expect(await problemOf(await edge.admin('/v1/ring/lookup'))).toMatchObject({ code: 'DHT_ERR_NAME_EMPTY' });
    expect(await problemOf(await edge.admin('/v1/ring/lookup?name=%'))).toMatchObject({ code: 'DHT_ERR_NAME_INVALID' });
  });

  test('joins through seeds and tells why it could not', async () => {
    expect((await post('/v1/node/join', { seeds: ['localhost:7401'] })).status).toBe(200);
    expect((await post('/v1/node/join', { seeds: [] })).status).toBe(200);
    expect(edge.node.joins).toEqual([['localhost:7401'], []]);
    edge.node.joinOutcome = { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'in another ring' };
    expect(await problemOf(await post('/v1/node/join', { seeds: [] }))).toMatchObject({ status: 409, detail: 'in another ring' });
  });

  test.each([[undefined], [[]], [{}], [{ seeds: 'localhost:1' }], [{ seeds: [1] }], [{ seeds: ['nowhere'] }], [{ seeds: ['a:0'] }], [{ seeds: Array(101).fill('a:1') }]])('refuses to join by %j', async (body) => {
    expect(await problemOf(await post('/v1/node/join', body))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
    expect(edge.node.joins).toEqual([]);
  });

  test('begins a leave with 202', async () => {
    expect((await post('/v1/node/leave')).status).toBe(202);
    expect(edge.node.leaves).toBe(1);
  });

  test('recovers only by a plain true, and tells why it was refused', async () => {
    expect((await post('/v1/ring/recover', { acceptDataLoss: true })).status).toBe(200);
    expect((await post('/v1/ring/recover', {})).status).toBe(200);
    expect(edge.node.recoveries).toEqual([true, false]);
    for (const body of [undefined, [], { acceptDataLoss: 'true' }, { acceptDataLoss: 1 }]) {
      expect(await problemOf(await post('/v1/ring/recover', body))).toMatchObject({ code: 'DHT_ERR_REQUEST_INVALID' });
    }
    edge.node.recoverOutcome = { kind: 'failed', code: 'DHT_ERR_CONFLICT', detail: 'nothing to recover' };
    expect(await problemOf(await post('/v1/ring/recover', { acceptDataLoss: true }))).toMatchObject({ status: 409, detail: 'nothing to recover' });
    expect(edge.node.recoveries).toHaveLength(3);
  });

  test('is not for web pages: foreign origins and rebound names are refused', async () => {
    expect(await problemOf(await post('/v1/node/leave', undefined, { origin: 'http://evil.example' }))).toMatchObject({ status: 401 });
    const rebound = await edge.raw('POST /v1/node/leave HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', { port: edge.adminPort });
    expect(rebound).toMatch(/^HTTP\/1\.1 401 /);
    expect(edge.node.leaves).toBe(0);
  });

  test('off loopback asks every POST for the admin token', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ adminToken: 'right' });
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic right' }] as Record<string, string>[]) {
      const response = await post('/v1/node/leave', undefined, headers);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await problemOf(response)).toMatchObject({ code: 'DHT_ERR_UNAUTHORIZED', status: 401 });
    }
    expect(edge.node.leaves).toBe(0);
    expect((await post('/v1/node/leave', undefined, { authorization: 'Bearer right' })).status).toBe(202);
    expect((await edge.admin('/v1/node')).status).toBe(200);
  });

  test('tells health with a reason, and that it is starting', async () => {
    expect(await (await edge.admin('/readyz')).json()).toEqual({ status: 'ok', reason: 'serving' });
    edge.node.health = { isOk: false, reason: 'waits for a majority' };
    for (const route of ['/readyz', '/startupz', '/healthz/cluster']) {
      const response = await edge.admin(route);
      expect(response.status).toBe(503);
      expect(await response.json()).toEqual({ status: 'unavailable', reason: 'waits for a majority' });
    }
    edge.isStarted = false;
    expect((await edge.admin('/readyz')).status).toBe(503);
    expect((await edge.admin('/livez')).status).toBe(200);
    expect(await problemOf(await edge.admin('/v1/ring'))).toMatchObject({ code: 'DHT_ERR_NOT_READY' });
  });

  test('counts requests from zero, and has no misnamed gauges', async () => {
    const before = await (await edge.admin('/metrics')).text();
    expect(before).toContain('dht_gateway_requests_total{method="PUT",route="/v1/objects/{name}",code="201"} 0');
    expect(before).toContain('dht_gateway_request_duration_seconds_count{method="GET",route="/v1/objects/{name}"} 0');
    expect(before).toMatch(/^dht_build_info\{.*\} 1$/m);
    expect(before).not.toMatch(/nodejs_active_\w+_total/);
    await edge.object('x', { method: 'PUT', body: '1' });
    expect(await (await edge.admin('/metrics')).text()).toContain('dht_gateway_requests_total{method="PUT",route="/v1/objects/{name}",code="201"} 1');
  });

  test('has a limit on the body of a POST', async () => {
    expect(await problemOf(await post('/v1/node/join', { seeds: ['x'.repeat(70_000)] }))).toMatchObject({ code: 'DHT_ERR_TOO_LARGE' });
  });
});

describe('the OpenAPI description', () => {
  const METHODS = ['get', 'head', 'put', 'post', 'delete', 'patch'];
  // Served by its GET route without being described, as everywhere in HTTP.
  const isImplied = (operations: object, method: string): boolean => method === 'head' && 'get' in operations;

  test.each(['gateway', 'admin'] as const)('is served on the %s port and names each route with each method, and no other', async (port) => {
    const ask = (route: string, method: string): Promise<Response> => fetch(`http://127.0.0.1:${port === 'gateway' ? edge.port : edge.adminPort}${route}`, { method: method.toUpperCase() });
    const document = (await (await ask('/v1/openapi.json', 'get')).json()) as OpenApiDocument;
    expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument(port, '0'))));
    await edge.object('here', { method: 'PUT', body: '1' });
    for (const [route, operations] of Object.entries(document.paths)) {
      for (const method of METHODS) {
        const response = await ask(route.replace('{name}', 'here'), method);
        const isThere = response.status !== 405 && response.status !== 404;
        // A stream has no end.
        if (route === '/v1/events') await response.body?.cancel();
        else await response.arrayBuffer();
        expect(`${method} ${route} ${isThere || isImplied(operations, method)}`).toBe(`${method} ${route} ${method in operations || isImplied(operations, method)}`);
        if (method === 'put') await edge.object('here', { method: 'PUT', body: '1' });
      }
    }
  });

  test('names every path that the sources register', () => {
    const sources = ['admin-app.ts', 'gateway-app.ts', 'object-routes.ts'].map((file) => readFileSync(path.resolve(import.meta.dirname, '../../src/gateway', file), 'utf8')).join('\n');
    const registered = [...sources.matchAll(/\b(?:get|post|health)\('(\/[^']*)'/g)].map((match) => match[1] ?? '');
    const described = [...Object.keys(openApiDocument('admin', '0').paths), ...Object.keys(openApiDocument('gateway', '0').paths)];
    expect(registered.length).toBeGreaterThan(10);
    expect(registered.filter((route) => !described.includes(route))).toEqual([]);
  });

  test('lists only statuses that the catalogue or a success has', () => {
    const known = new Set([200, 201, 202, 204, 206, 304, ...Object.values(ERRORS).map(({ status }) => status as number)]);
    for (const port of ['gateway', 'admin'] as const) {
      for (const operations of Object.values(openApiDocument(port, '0').paths)) {
        for (const operation of Object.values(operations)) expect(Object.keys(operation.responses).map(Number).filter((status) => !known.has(status))).toEqual([]);
      }
    }
  });
});

test('docs/errors.md is what the catalogue says', () => {
  expect(readFileSync(path.resolve(import.meta.dirname, '../../docs/errors.md'), 'utf8')).toBe(errorsDocument());
});
