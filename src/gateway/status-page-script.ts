/**
 * What the status page does: asks this node for ring and node every two seconds and at each event, and shows the answers.
 * Plain JavaScript for browsers of the last years. Everything is set as text, so no name can become markup.
 */
export const STATUS_PAGE_SCRIPT = String.raw`
'use strict';
const at = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const EVENTS_SHOWN = 100;
const make = (tag, text, name) => { const it = document.createElement(tag); if (text !== undefined) it.textContent = text; if (name) it.className = name; return it; };
const draw = (tag, attributes, text) => { const it = document.createElementNS(SVG, tag); for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value); if (text !== undefined) it.textContent = text; return it; };
const percent = (part) => (part * 100).toFixed(1) + ' %';
const bytes = (count) => { const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']; let i = 0; while (count >= 1024 && i < 4) { count /= 1024; i += 1; } return (i === 0 ? count : count.toFixed(1)) + ' ' + units[i]; };
const seconds = (count) => count < 120 ? Math.ceil(count) + ' s' : count < 7200 ? Math.round(count / 60) + ' min' : Math.round(count / 3600) + ' h';
const stateOf = (member) => {
  if (member.liveness === 'down') return { name: 'bad', text: '✕ down' };
  if (member.liveness === 'suspect' || member.liveness === 'unknown') return { name: 'warn', text: '? ' + (member.liveness === 'suspect' ? 'does not answer' : 'not heard of yet') };
  if (member.state === 'joining') return { name: 'new', text: '↓ joining' };
  if (member.state === 'leaving' || member.state === 'lost') return { name: 'warn', text: '↑ ' + member.state };
  if (member.liveness === 'restarting') return { name: 'warn', text: '↻ restarting' };
  return { name: 'up', text: '✓ up' };
};
const arcPath = (from, to, radius) => {
  const point = (turn) => [150 + radius * Math.sin(turn * 2 * Math.PI), 150 - radius * Math.cos(turn * 2 * Math.PI)].map((x) => x.toFixed(2)).join(' ');
  return 'M' + point(from) + 'A' + radius + ' ' + radius + ' 0 ' + (to - from > 0.5 ? 1 : 0) + ' 1 ' + point(to);
};
const showRing = (ring) => {
  const size = 2 ** ring.M;
  const tokens = ring.members.flatMap((member) => member.tokens.map((token) => ({ token, member }))).sort((a, b) => a.token - b.token);
  const words = ring.members.length + (ring.members.length === 1 ? ' member, ' : ' members, ') + ring.arcs.total + ' arcs: ' + ring.arcs.healthy + ' with all replicas up, ' + ring.arcs.degraded + ' with a majority, ' + ring.arcs.unavailable + ' without.';
  const shades = ring.members.filter((member) => stateOf(member).name === 'up');
  const parts = [draw('title', {}, 'The ring. ' + words)];
  tokens.forEach(({ token, member }, i) => {
    const before = tokens[(i + tokens.length - 1) % tokens.length].token;
    const to = token / size;
    const from = i === 0 ? before / size - 1 : before / size;
    const end = tokens.length === 1 ? from + 0.9999 : Math.max(to - 0.0008, from + 0.0002);
    const path = draw('path', { d: arcPath(from, end, 130), class: stateOf(member).name + (shades.indexOf(member) % 2 ? ' odd' : ''), 'data-member': member.nodeId });
    path.append(draw('title', {}, member.name + ', ' + stateOf(member).text.slice(2)));
    parts.push(path);
  });
  parts.push(draw('text', { x: 150, y: 140, class: 'big' }, ring.arcs.total - ring.arcs.unavailable + ' of ' + ring.arcs.total), draw('text', { x: 150, y: 158 }, 'arcs can be read and written'), draw('text', { x: 150, y: 176 }, 'layout ' + ring.epoch + (ring.phase === 'moving' ? ', moving' : '')));
  at('circle').replaceChildren(...parts);
  at('arcs').textContent = words;
};
const highlight = (nodeId) => { for (const path of at('circle').querySelectorAll('path')) path.classList.toggle('fades', nodeId !== null && path.dataset.member !== nodeId); };
const showMembers = (ring, node) => {
  const rows = ring.members.map((member) => {
    const row = make('tr');
    row.tabIndex = 0;
    const state = stateOf(member);
    const name = make('td', member.name, 'name');
    if (member.nodeId === node.nodeId) name.append(make('span', 'this node', 'trouble'));
    const alive = make('td', state.text, state.name);
    if (member.trouble !== null) alive.append(make('span', member.trouble, 'trouble'));
    const isHere = member.nodeId === node.nodeId && node.storage.totalBytes > 0;
    const disk = make('td', isHere ? percent(1 - node.storage.freeBytes / node.storage.totalBytes) + ' used' : member.disk === 'ok' ? 'ok' : '! ' + member.disk, member.disk === 'ok' ? '' : 'warn');
    if (isHere && node.storage.detail !== 'ok') disk.append(make('span', node.storage.detail, 'trouble'));
    row.append(name, alive, make('td', percent(member.ownedShare), 'number'), disk);
    row.onmouseenter = row.onfocus = () => highlight(member.nodeId);
    row.onmouseleave = row.onblur = () => highlight(null);
    return row;
  });
  const focused = [...at('rows').children].indexOf(document.activeElement);
  at('rows').replaceChildren(...rows);
  if (focused >= 0 && rows[focused]) rows[focused].focus();
};
const setText = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
const show = (ring, node) => {
  setText('title', node.host + ':' + node.port);
  setText('state', node.stateDetail.startsWith(node.state) ? node.stateDetail : node.state + ': ' + node.stateDetail);
  document.title = (ring.isSafe ? '✓ ' : '! ') + node.host + ':' + node.port + ' · dht';
  const isUnavailable = ring.arcs.unavailable > 0 || ring.members.length === 0;
  at('safe').className = ring.isSafe ? 'up' : isUnavailable ? 'bad' : 'warn';
  setText('verdict', 'Safe now: ' + (ring.isSafe ? 'yes' : 'no'));
  setText('safety', ring.safety.replace(/^(Yes|No)[:;] /, '').replace(/^./, (letter) => letter.toUpperCase()));
  setText('removal', 'May this node be removed? ' + ring.removal);
  at('warnings').replaceChildren(...ring.warnings.map((text) => make('li', text, 'warn')));
  showRing(ring);
  showMembers(ring, node);
  const { moves, repair } = ring;
  const isMoving = moves.arcs > 0 || moves.keysLeft > 0 || moves.bytesLeft > 0;
  setText('moving', moves.arcs > 0 ? 'Data is being copied here.' : isMoving ? 'What moved away is kept here until its new owners have confirmed it.' : 'Nothing is moving here.');
  setText('arcsleft', String(moves.arcs));
  setText('bytesleft', bytes(moves.bytesLeft));
  setText('timeleft', moves.estimatedSeconds === null ? '–' : seconds(moves.estimatedSeconds));
  setText('repair', repair.summary);
  setText('lacking', String(repair.underReplicatedObjects));
  setText('hints', String(repair.hintsQueued));
  setText('oldest', repair.oldestUnrepairedSeconds === null ? '–' : seconds(repair.oldestUnrepairedSeconds));
  setText('pace', bytes(repair.bytesPerSecond) + '/s');
  const gateway = 'http://' + (node.host === 'localhost' || location.hostname !== 'localhost' ? location.hostname : 'localhost') + ':' + (node.httpPort ?? 8080);
  setText('put', 'curl -T FILE ' + gateway + '/v1/objects/NAME');
  setText('get', 'curl -O ' + gateway + '/v1/objects/NAME');
};
let isAsking = false;
const refresh = async () => {
  if (isAsking) return;
  isAsking = true;
  try {
    const [ring, node] = await Promise.all(['/v1/ring', '/v1/node'].map(async (path) => {
      const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(String(answer.status));
      return await answer.json();
    }));
    show(ring, node);
    at('lost').hidden = true;
  } catch {
    at('lost').hidden = false;
  }
  isAsking = false;
};
const seen = new Set();
const onEvent = ({ data }) => {
  const event = JSON.parse(data);
  if (seen.has(event.id)) return;
  seen.add(event.id);
  const item = make('li');
  const time = make('time', new Date(event.at).toLocaleTimeString());
  time.dateTime = event.at;
  item.append(time, event.message);
  at('events').prepend(item);
  while (at('events').children.length > EVENTS_SHOWN) at('events').lastChild.remove();
  at('none').hidden = true;
  clearTimeout(onEvent.timer);
  onEvent.timer = setTimeout(refresh, 100);
};
const source = new EventSource('/v1/events');
for (const kind of document.body.dataset.kinds.split(' ')) source.addEventListener(kind, onEvent);
setInterval(() => { if (!document.hidden) void refresh(); }, 2000);
void refresh();
`;
