/**
 * GET / on the admin port: one page for people, made of what the JSON routes say. Nothing is loaded from elsewhere and
 * nothing else may run: the policy names style and script by their hashes.
 * Source: [CSP 3] "Valid hashes for source list".
 */
import { hash } from 'node:crypto';
import { RING_EVENT_KINDS } from '../node/node-service.ts';
import { STATUS_PAGE_SCRIPT } from './status-page-script.ts';
import { STATUS_PAGE_STYLE } from './status-page-style.ts';

const source = (text: string): string => `'sha256-${hash('sha256', text, 'base64')}'`;

export const STATUS_PAGE_POLICY = `default-src 'none'; style-src ${source(STATUS_PAGE_STYLE)}; script-src ${source(STATUS_PAGE_SCRIPT)}; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>dht</title>
<link rel="icon" href="data:,">
<style>${STATUS_PAGE_STYLE}</style>
</head>
<body data-kinds="${RING_EVENT_KINDS.join(' ')}">
<header><h1 id="title">dht</h1><span id="state" class="dim"></span></header>
<div id="lost" role="alert" hidden>This node does not answer, or has not started yet. What is shown is old.</div>
<main>
<section id="safe"><div aria-live="polite"><p id="verdict">Asking the node …</p><p id="safety"></p></div><ul id="warnings"></ul><p id="removal" class="dim"></p></section>
<section id="ring" aria-labelledby="ring-head"><h2 id="ring-head">Ring</h2><svg id="circle" viewBox="0 0 300 300" role="img" aria-labelledby="arcs"></svg><p id="arcs" class="dim"></p></section>
<section id="members" aria-labelledby="members-head"><h2 id="members-head">Members</h2>
<table><thead><tr><th scope="col">Member</th><th scope="col">State</th><th scope="col" class="number">Owns</th><th scope="col">Disk</th></tr></thead><tbody id="rows"></tbody></table></section>
<section id="work" aria-labelledby="work-head"><h2 id="work-head">Moves and repairs</h2>
<p id="moving"></p><dl><dt>Arcs to catch up</dt><dd id="arcsleft"></dd><dt>Bytes left</dt><dd id="bytesleft"></dd><dt>Time left</dt><dd id="timeleft"></dd></dl>
<p id="repair"></p><dl><dt>Objects that lack a copy</dt><dd id="lacking"></dd><dt>Writes that others missed</dt><dd id="hints"></dd><dt>The oldest waits for</dt><dd id="oldest"></dd><dt>Background copies take up to</dt><dd id="pace"></dd></dl></section>
<section id="happened" aria-labelledby="happened-head"><h2 id="happened-head">Events</h2><p id="none" class="dim">None since this node began.</p><ol id="events" tabindex="0" aria-label="Events, newest first"></ol></section>
<section aria-labelledby="use-head"><h2 id="use-head">Store and fetch a file</h2><p class="dim">On the gateway port, of any node:</p><pre id="put"></pre><pre id="get"></pre></section>
</main>
<footer><a href="/v1/ring">/v1/ring</a><a href="/v1/node">/v1/node</a><a href="/metrics">/metrics</a><a href="/v1/openapi.json">/v1/openapi.json</a></footer>
<script>${STATUS_PAGE_SCRIPT}</script>
</body>
</html>
`;
