/** Who gets in at the gateway, and over what: bearer tokens and TLS, on real sockets. */
import * as https from 'node:https';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseBearerTokens } from '../../src/gateway/bearer-tokens.ts';
import { CERTIFICATE, CERTIFICATE_KEY, OTHER_KEY, RENEWED_CERTIFICATE, RENEWED_CERTIFICATE_KEY } from '../support/gateway-certificate.ts';
import { EdgeFixture, problemOf } from './edge-fixture.ts';

const ANNA = 'anna-token-0123456789';
const BERT = 'bert-token-0123456789';
const BERT_OLD = 'bert-token-of-last-year';
const TOKENS = parseBearerTokens(`anna:${ANNA}\n\nbert: ${BERT}\r\nbert:${BERT_OLD}\n`);
const TLS = { cert: Buffer.from(CERTIFICATE), key: Buffer.from(CERTIFICATE_KEY) };
const bearer = (token: string): { headers: { authorization: string } } => ({ headers: { authorization: `Bearer ${token}` } });

let edge: EdgeFixture;

afterEach(() => edge.stop());

async function metric(line: string): Promise<number> {
  const text = await (await edge.admin('/metrics')).text();
  return Number(text.split('\n').find((one) => one.startsWith(`${line} `))?.split(' ').at(-1) ?? NaN);
}

describe('a gateway with tokens', () => {
  test('serves whoever shows one of them', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    expect((await edge.object('x', { method: 'PUT', body: 'hello', ...bearer(ANNA) })).status).toBe(201);
    for (const token of [ANNA, BERT, BERT_OLD]) expect(await (await edge.object('x', bearer(token))).text()).toBe('hello');
    expect((await edge.object('x', { headers: { authorization: `bearer  ${ANNA}` } })).status).toBe(200);
  });

  test.each([
    ['nothing', {}],
    ['an unknown token', { authorization: 'Bearer nobody-0123456789ab' }],
    ['a part of a token', { authorization: `Bearer ${ANNA.slice(0, -1)}` }],
    ['more than a token', { authorization: `Bearer ${ANNA}x` }],
    ['a name', { authorization: 'Bearer anna' }],
    ['a name and its token', { authorization: `Bearer anna:${ANNA}` }],
    ['another scheme', { authorization: `Basic ${ANNA}` }],
    ['an empty token', { authorization: 'Bearer ' }],
  ])('answers 401 to %s, and does nothing', async (_what, headers) => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    for (const [method, outcome] of [['PUT', 'not-applied'], ['DELETE', 'not-applied'], ['GET', undefined]] as const) {
      const response = await edge.object('x', { method, headers, ...(method === 'PUT' && { body: 'hello' }) });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      const problem = await problemOf(response);
      expect([problem.code, problem.outcome]).toEqual(['DHT_ERR_UNAUTHORIZED', outcome]);
    }
    expect((await edge.object('x', { method: 'HEAD', headers })).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${edge.port}/v1/objects`, { headers })).status).toBe(401);
    expect((await edge.object('x', bearer(ANNA))).status).toBe(404);
  });

  test('refuses before it looks at the name or the method, so that nothing is told to strangers', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    expect(await edge.target('/v1/objects/..')).toMatch(/^HTTP\/1.1 401 /);
    expect(await edge.target('/v1/objects/x', 'PATCH')).toMatch(/^HTTP\/1.1 401 /);
    expect(await edge.target('http://x/v1/objects/x')).toMatch(/^HTTP\/1.1 401 /);
    expect(await edge.target('/v1/objects/x?consistency=one')).toMatch(/^HTTP\/1.1 401 /);
  });

  test('goes by the first of two authorizations in one request', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    const answer = await edge.raw(`GET /v1/objects/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong-0123456789abc\r\nAuthorization: Bearer ${ANNA}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
  });

  test('does not ask a stranger for the body it announces', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    const answer = await edge.raw('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
    expect(answer).not.toContain('100 Continue');
  });

  test('describes itself to anyone', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    expect((await fetch(`http://127.0.0.1:${edge.port}/v1/openapi.json`)).status).toBe(200);
  });

  test('logs and counts by name, and never shows a token', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    await edge.object('x', bearer(BERT));
    await edge.object('x', bearer(BERT_OLD));
    await edge.object('x', bearer('guess-0123456789abcdef'));
    await edge.object('x');
    expect(await metric('dht_gateway_token_requests_total{token="bert"}')).toBe(2);
    expect(await metric('dht_gateway_token_requests_total{token="anna"}')).toBe(0);
    expect(await metric('dht_gateway_rejected_requests_total{reason="unauthorized"}')).toBe(2);
    expect(await metric('dht_gateway_requests_total{method="GET",route="/v1/objects/{name}",code="401"}')).toBe(2);
    const log = edge.logLines.join('');
    expect(log).toContain('"token":"bert"');
    expect(log).toContain('unknown token');
    for (const secret of [ANNA, BERT, BERT_OLD, 'guess-']) expect(log + await (await edge.admin('/metrics')).text()).not.toContain(secret);
  });
});

describe('a gateway whose tokens are replaced', () => {
  test('lets the new ones in and the old ones no longer, and counts the new names', async () => {
    edge = await EdgeFixture.start({ tokens: TOKENS });
    edge.tokens = parseBearerTokens('carl:carl-token-0123456789');
    expect((await edge.object('x', bearer('carl-token-0123456789'))).status).toBe(404);
    expect((await edge.object('x', bearer(ANNA))).status).toBe(401);
    expect(await metric('dht_gateway_token_requests_total{token="carl"}')).toBe(1);
  });
});

describe('a gateway without tokens', () => {
  test('serves anyone, with a token or without', async () => {
    edge = await EdgeFixture.start();
    expect((await edge.object('x')).status).toBe(404);
    expect((await edge.object('x', bearer('anything'))).status).toBe(404);
  });
});

describe('a gateway with a certificate', () => {
  function get(path: string, options: https.RequestOptions = {}): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const request = https.request({ host: '127.0.0.1', port: edge.port, path, ca: CERTIFICATE, agent: false, ...options }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }); });
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end();
    });
  }

  const rawTls = (bytes: string): Promise<string> => new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port: edge.port, ca: CERTIFICATE }, () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => { resolve(Buffer.concat(chunks).toString('latin1')); });
  });

  test('serves objects over HTTPS, with TLS 1.3 and 1.2', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    expect(await get('/v1/objects/x', { minVersion: 'TLSv1.3' })).toMatchObject({ status: 404 });
    expect(await get('/v1/openapi.json', { maxVersion: 'TLSv1.2' })).toMatchObject({ status: 200 });
    await expect(get('/v1/openapi.json', { ca: [] })).rejects.toThrow(/self-signed/);
  });

  test('needs a token all the same', async () => {
    edge = await EdgeFixture.start({ tls: TLS, tokens: TOKENS });
    expect(await get('/v1/objects/x')).toMatchObject({ status: 401 });
    expect(await get('/v1/objects/x', bearer(ANNA))).toMatchObject({ status: 404 });
  });

  test('cuts who speaks plain HTTP or nonsense, and serves on', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    expect(await edge.target('/v1/objects/x')).not.toContain('HTTP/1.1 2');
    await edge.raw('\x16\x03\x01\xff\xff'.repeat(40), { end: true });
    expect(await get('/v1/openapi.json')).toMatchObject({ status: 200 });
  });

  test('answers bytes that are no request once, encrypted, and closes', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    expect(await rawTls('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*DHT_ERR_REQUEST_INVALID/);
  });

  test('cuts clients that make no progress', async () => {
    edge = await EdgeFixture.start({ tls: TLS, progress: { intervalMs: 30, sentBytesMin: 100, takingLooksMax: 3 } });
    expect(await rawTls('PUT /v1/objects/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhello')).toBe('');
  });

  test('shows a renewed certificate to new connections, and cuts none of the old ones', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    expect(await get('/v1/openapi.json', { agent })).toMatchObject({ status: 200 });
    edge.renewTls({ cert: Buffer.from(RENEWED_CERTIFICATE), key: Buffer.from(RENEWED_CERTIFICATE_KEY) });
    expect(await get('/v1/openapi.json', { agent })).toMatchObject({ status: 200 });
    agent.destroy();
    expect(await get('/v1/openapi.json', { ca: RENEWED_CERTIFICATE })).toMatchObject({ status: 200 });
    await expect(get('/v1/openapi.json')).rejects.toThrow(/self-signed/);
  });

  test('keeps its certificate when the renewed one can not be used', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    expect(() => { edge.renewTls({ cert: Buffer.from(RENEWED_CERTIFICATE), key: TLS.key }); }).toThrow(/can not be used/);
    expect(await get('/v1/openapi.json')).toMatchObject({ status: 200 });
  });

  test('does not wait for a handshake when it closes', async () => {
    edge = await EdgeFixture.start({ tls: TLS });
    const socket = net.connect({ host: '127.0.0.1', port: edge.port });
    const closed = new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve));
    await new Promise((resolve) => socket.once('connect', resolve));
    await edge.stop();
    await closed;
  });

  test('does not start with a key that is not its own, or with no certificate at all', async () => {
    edge = await EdgeFixture.start();
    await expect(EdgeFixture.start({ tls: { ...TLS, key: Buffer.from(OTHER_KEY) } })).rejects.toMatchObject({ code: 'DHT_ERR_SETTING_INVALID' });
    await expect(EdgeFixture.start({ tls: { ...TLS, cert: Buffer.from('none') } })).rejects.toMatchObject({ code: 'DHT_ERR_SETTING_INVALID' });
  });
});
