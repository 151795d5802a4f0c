"use strict";
// The page shows the peers of one interface or of all, up to 100 at a time. The server
// sorts, searches and sends what differs; see internal/web/stream.go for the events.

const $ = id => document.getElementById(id);
const view = { interface: "", search: "", sort: "state", reverse: "", page: 0 };
const samples = 60, columns = 10;
let stream, rows = new Map(), order = [], last, open = "";

function make(tag, props = {}, ...children) {
	const e = Object.assign(document.createElement(tag), props);
	e.append(...children);
	return e;
}

function setText(e, text) {
	if (e.textContent !== text) e.textContent = text;
}

// Units are powers of 1000, as wgd status prints them.
function bytes(n) {
	const units = ["B", "kB", "MB", "GB", "TB", "PB"];
	let i = 0;
	while (n >= 999.5 && i < units.length - 1) { n /= 1000; i++; }
	return (i === 0 ? Math.round(n) : n.toPrecision(3)) + " " + units[i];
}

function age(seconds) {
	if (seconds < 2) return "just now";
	if (seconds < 120) return Math.floor(seconds) + " s ago";
	if (seconds < 7200) return Math.floor(seconds / 60) + " min ago";
	if (seconds < 172800) return Math.floor(seconds / 3600) + " h ago";
	return Math.floor(seconds / 86400) + " days ago";
}

// plot draws values as a line. NaN leaves a gap at the beginning.
function plot(polyline, values) {
	const max = Math.max(1, ...values.filter(v => v >= 0));
	const points = [];
	values.forEach((v, i) => {
		if (v >= 0) points.push(((samples - values.length + i) * 2).toFixed(0) + "," + (21 - 20 * v / max).toFixed(1));
	});
	polyline.setAttribute("points", points.join(" "));
}

function makePlot(kind) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("viewBox", "0 0 120 22");
	svg.setAttribute("aria-hidden", "true");
	const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
	svg.append(line);
	return [make("td", { className: "wide plot " + kind }, svg), line];
}

// newRow makes the rows of a peer: what is shown always, and why it does not work.
function newRow(id) {
	const row = { id, rates: [], ages: [], tr: make("tr"), cell: {} };
	row.button = make("button", { type: "button", onclick: () => toggle(row) });
	row.button.setAttribute("aria-expanded", "false");
	const cell = (name, kind) => row.cell[name] = make("td", { className: kind });
	row.tr.append(make("td", { className: "name" }, row.button), cell("interface", "interface"), cell("state", "state"),
		cell("endpoint", "wide endpoint"), cell("handshake", "number"));
	let td;
	[td, row.agePlot] = makePlot("age");
	row.tr.append(td, cell("rx", "wide number"), cell("tx", "wide number"), cell("rate", "number"));
	[td, row.ratePlot] = makePlot("rate");
	row.tr.append(td);
	row.reason = make("td", { colSpan: columns });
	row.reasonRow = make("tr", { className: "reason", hidden: true }, row.reason);
	row.group = make("tbody", {}, row.tr, row.reasonRow);
	return row;
}

function draw(row) {
	const d = row.data, c = row.cell;
	setText(row.button, d.name);
	row.button.title = d.name;
	c.state.className = "state " + d.state;
	setText(c.state, d.state.replace("-", " "));
	setText(c.interface, d.interface);
	setText(c.endpoint, endpointText(d) || "–");
	c.endpoint.title = endpointText(d);
	setText(row.reason, d.reason || "");
	row.reasonRow.hidden = !d.reason || open === row.id;
	setText(c.handshake, d.handshake ? age(ageOf(row)) : "never");
	setText(c.rx, bytes(d.rx));
	setText(c.tx, bytes(d.tx));
	setText(c.rate, bytes(d.rxRate + d.txRate) + "/s");
	plot(row.ratePlot, row.rates);
	plot(row.agePlot, row.ages);
}

function endpointText(d) {
	return [d.endpointName, d.endpoint].filter(Boolean).join(" ");
}

function ageOf(row) {
	return row.data.handshake ? Math.max(0, (last.now - row.data.handshake) / 1000) : -1;
}

// toggle shows what explain says about a peer, or hides it.
function toggle(row) {
	const closing = open === row.id;
	close();
	if (closing) return;
	open = row.id;
	row.button.setAttribute("aria-expanded", "true");
	const td = make("td", { colSpan: columns }, details(row, "Asking …", []));
	row.detail = make("tr", { className: "detail" }, td);
	row.tr.after(row.detail);
	draw(row);
	fetch("/explain?" + new URLSearchParams({ interface: row.data.interface, peer: row.data.key }))
		.then(r => r.ok ? r.json() : Promise.reject(new Error("the explanation is not available")))
		.then(e => td.replaceChildren(details(row, e.text, e.reasons)))
		.catch(e => td.replaceChildren(details(row, e.message, [])));
}

function close() {
	const row = rows.get(open);
	open = "";
	if (!row || !row.detail) return;
	row.detail.remove();
	row.detail = null;
	row.button.setAttribute("aria-expanded", "false");
	draw(row);
}

function details(row, text, reasons) {
	const d = row.data, dl = make("dl");
	const entry = (term, value) => dl.append(make("dt", { textContent: term }), make("dd", { textContent: value }));
	entry("State", text);
	entry("Interface", d.interface);
	entry("Public key", d.key);
	entry("Endpoint", endpointText(d) || "not known");
	entry("Allowed IPs", (d.allowed || ["none"]).join(", "));
	entry("Received, sent", bytes(d.rx) + ", " + bytes(d.tx));
	const buttons = make("p", { className: "buttons", hidden: Boolean(fixedText(d.interface)) },
		make("button", { type: "button", textContent: "Change", onclick: () => openForm("set", row) }), " ",
		make("button", { type: "button", textContent: "Remove", onclick: () => openForm("delete", row) }));
	return make("div", {}, dl, reasonList(reasons), buttons);
}

// fixedText says why an interface cannot be changed here; "" if it can.
function fixedText(name) {
	return last.interfaces.find(i => i.name === name)?.fixed || "";
}

function reasonList(reasons) {
	const ul = make("ul", { className: "reasons", hidden: reasons.length === 0 });
	for (const r of reasons) ul.append(make("li", {}, r.text, make("div", { className: "remedy", textContent: "What to do: " + r.remedy })));
	return ul;
}

function take(event) {
	last = event;
	for (const data of event.rows || []) {
		const row = rows.get(data.id) || newRow(data.id);
		if (data.rates) { row.rates = data.rates.slice(0, -1); row.ages = data.ages.slice(0, -1); }
		row.data = data;
		rows.set(data.id, row);
	}
	if (event.empty) event.order = [];
	if (event.order) place(event.order);
	for (const id of order) {
		const row = rows.get(id);
		row.rates = [...row.rates, row.data.rxRate + row.data.txRate].slice(-samples);
		row.ages = [...row.ages, ageOf(row)].slice(-samples);
		draw(row);
	}
	drawInterfaces(event);
	drawTools(event);
}

// place puts the rows of the page in order, and moves none that is in its place already, so
// that the focus stays.
function place(ids) {
	const wanted = new Set(ids), table = $("peers"), focused = document.activeElement;
	for (const [id, row] of rows) {
		if (wanted.has(id)) continue;
		if (open === id) close();
		row.group.remove();
		rows.delete(id);
	}
	order = ids;
	let next = table.tBodies[0] || null;
	for (const id of ids) {
		const group = rows.get(id).group;
		if (next === group) next = next.nextElementSibling;
		else table.insertBefore(group, next);
	}
	if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function drawInterfaces(event) {
	const nav = $("interfaces"), names = event.interfaces.map(i => i.name);
	if (names.length > 1) names.unshift("");
	if (nav.dataset.names !== names.join()) {
		nav.dataset.names = names.join();
		nav.replaceChildren(...names.map(name => make("button", { type: "button", textContent: name || "All", onclick: () => choose({ interface: name, page: 0 }) })));
	}
	names.forEach((name, n) => {
		const works = event.interfaces.every(i => i.works && !i.error || i.name !== name);
		nav.children[n].setAttribute("aria-pressed", String(name === event.shown));
		nav.children[n].className = works ? "" : "broken";
	});
	const shown = event.interfaces.filter(i => event.shown === "" || i.name === event.shown);
	let problem = event.error || shown.filter(i => i.error).map(i => i.error).join(" ");
	if (event.shown && shown.length === 0) problem = event.shown + " has ended. The page follows it again when it is back.";
	say(problem);
	const summary = $("summary");
	summary.replaceChildren(...shown.map(describe));
	if (event.interfaces.length === 0 && !event.error) summary.append(make("p", { textContent: "No interface is running." }));
	$("peers").classList.toggle("one", event.shown !== "");
	$("add").hidden = !shown.some(i => !i.fixed && !i.error);
}

// describe says how an interface is.
function describe(i) {
	const counts = Object.entries(i.counts || {}).map(([state, n]) => n + " " + state.replace("-", " "));
	let text = i.name + (i.text ? ": " + i.text : "") + (counts.length ? ". Peers: " + counts.join(", ") : "") +
		". " + bytes(i.rxRate) + "/s received, " + bytes(i.txRate) + "/s sent.";
	if (i.error) text = i.name + " cannot be read.";
	const fixed = make("p", { className: "fixed", textContent: "It cannot be changed here: " + i.fixed, hidden: !i.fixed });
	return make("div", {}, make("p", { textContent: text }), fixed, reasonList(i.reasons || []));
}

function drawTools(event) {
	const peers = event.interfaces.filter(i => event.shown === "" || i.name === event.shown).reduce((n, i) => n + i.peers, 0);
	$("tools").hidden = peers === 0;
	$("peers").hidden = order.length === 0;
	$("empty").hidden = order.length > 0;
	setText($("found"), view.search ? event.found + " of " + peers + " peers" : peers + (peers === 1 ? " peer" : " peers"));
	let empty = "Start an interface with wgd up, and it appears here.";
	if (event.interfaces.length > 0) empty = "There are no peers.";
	if (peers > 0) empty = "No peer matches the search.";
	setText($("empty"), empty);
	$("pages").hidden = event.pages < 2;
	setText($("page"), "Page " + (event.page + 1) + " of " + event.pages);
	view.page = event.page;
	$("before").disabled = event.page === 0;
	$("after").disabled = event.page >= event.pages - 1;
	for (const th of document.querySelectorAll("th[data-sort]")) {
		if (th.dataset.sort === view.sort) th.setAttribute("aria-sort", view.reverse ? "descending" : "ascending");
		else th.removeAttribute("aria-sort");
	}
}

function say(problem) {
	$("problem").hidden = problem === "";
	setText($("problem"), problem);
}

// choose looks at something else: the server sends all of it.
function choose(change) {
	Object.assign(view, change);
	follow();
}

function follow() {
	if (stream) stream.close();
	stream = new EventSource("/stream?" + new URLSearchParams(view));
	stream.onmessage = m => {
		document.body.classList.remove("lost");
		take(JSON.parse(m.data));
	};
	stream.onerror = () => {
		document.body.classList.add("lost");
		say("The connection to wgd web is lost: what is shown is old. If it was started again, open the address that it has printed.");
		if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
	};
}

for (const th of document.querySelectorAll("th[data-sort]")) {
	th.firstElementChild.onclick = () => choose({ sort: th.dataset.sort, reverse: view.sort === th.dataset.sort && !view.reverse ? "1" : "", page: 0 });
}
let typing;
$("search").oninput = () => {
	clearTimeout(typing);
	typing = setTimeout(() => choose({ search: $("search").value, page: 0 }), 200);
};
$("before").onclick = () => choose({ page: view.page - 1 });
$("after").onclick = () => choose({ page: view.page + 1 });
document.addEventListener("keydown", e => {
	if (e.key !== "Escape" || open === "" || document.querySelector("dialog[open]")) return;
	const button = rows.get(open).button;
	close();
	button.focus();
});
follow();
