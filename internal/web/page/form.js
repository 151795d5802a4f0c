"use strict";
// The form that adds, changes or removes a peer. wgd web checks it while the user types, and
// answers with the command that does the same; see internal/web/change.go.

const form = { kind: "", name: "", key: "", initial: {}, touched: new Set(), asked: 0 };

function shownFields() {
	return [...document.querySelectorAll("#form .field")].filter(f => f.dataset.kinds.split(" ").includes(form.kind));
}

// openForm opens the form: add, make, set or delete, for a row or for a new peer.
function openForm(kind, row) {
	const d = row ? row.data : null;
	form.name = d ? d.interface : "";
	form.key = d ? d.key : "";
	form.touched.clear();
	form.initial = { name: "", key: "", allowed: "", endpoint: "", keepalive: "" };
	if (d) form.initial = { name: d.name, allowed: (d.allowed || []).join(","), endpoint: d.endpointName || d.endpoint || "", keepalive: d.keepalive ? String(d.keepalive) : "off" };
	for (const input of document.querySelectorAll("#form [data-field]")) input.value = form.initial[input.dataset.field] || "";
	if (!d) {
		const names = last.interfaces.filter(i => !i.fixed && !i.error).map(i => i.name);
		$("in-interface").replaceChildren(...names.map(name => make("option", { textContent: name, selected: name === last.shown })));
		$("choice").classList.toggle("single", names.length < 2);
		form.name = $("in-interface").value;
	}
	const titles = { add: "Add a peer", set: "Change " + form.initial.name, delete: "Remove " + form.initial.name };
	setText($("form-title"), titles[kind]);
	setText($("apply"), { add: "Add", set: "Change", delete: "Remove" }[kind]);
	setText($("question"), kind === "delete" ? "Remove the peer " + form.initial.name + " from " + form.name + "? Its session ends at once." : "");
	document.querySelector("#kinds input").checked = true;
	setKind(kind);
	$("form").showModal();
	const first = shownFields().find(f => f.checkVisibility() && f.querySelector("[data-field]"));
	if (first) first.querySelector("[data-field]").focus();
	else document.querySelector("#form [data-close]").focus();
}

function setKind(kind) {
	form.kind = kind;
	for (const f of document.querySelectorAll("#form .field")) f.hidden = !f.dataset.kinds.split(" ").includes(kind);
	$("kinds").hidden = kind !== "add" && kind !== "make";
	if (kind === "make") suggest();
	send(false);
}

// suggest fills in what a new peer can have.
async function suggest() {
	try {
		const r = await fetch("/client?" + new URLSearchParams({ interface: form.name }));
		if (!r.ok) return;
		const s = await r.json();
		const fill = (id, value) => { if (!form.touched.has(id)) $("in-" + id).value = value; };
		fill("address", s.address);
		fill("client-allowed", s.allowed);
		fill("client-endpoint", /^[0-9.:[\]]*$|^localhost$/.test(location.hostname) ? "" : location.hostname + ":" + s.port);
		send(false);
	} catch { /* the fields stay empty */ }
}

// payload is what wgd web gets. Of a peer that exists, only what the user has changed.
function payload(apply) {
	const p = { interface: form.name, action: form.kind === "make" ? "add" : form.kind, key: form.key, apply };
	const value = id => $("in-" + id).value.trim();
	if (form.kind === "add") p.key = value("key");
	if (form.kind === "make") {
		p.name = value("name");
		p.client = { address: value("address"), endpoint: value("client-endpoint"), allowed: value("client-allowed"), dns: value("dns") };
		return p;
	}
	if (form.kind === "delete") return p;
	for (const id of ["name", "allowed", "endpoint", "keepalive"]) {
		if (form.kind === "add" || value(id) !== form.initial[id]) p[id] = value(id);
	}
	return p;
}

// send sends the form. While the user types, only errors of fields that were left are shown.
async function send(apply) {
	const number = ++form.asked;
	let a;
	try {
		const r = await fetch("/change", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(payload(apply)) });
		if (!r.ok) throw new Error("wgd web has refused the form: open the page again, with the address that it has printed");
		a = await r.json();
	} catch (e) {
		a = { error: e instanceof TypeError ? "wgd web does not answer" : e.message };
	}
	if (number !== form.asked && !apply) return;
	const errors = a.errors || {};
	for (const f of shownFields()) {
		const input = f.querySelector("[data-field]");
		if (!input) continue;
		const id = input.dataset.field, text = apply || form.touched.has(id) ? errors[id] || "" : "";
		setText($("error-" + id), text);
		$("error-" + id).hidden = text === "";
		input.setAttribute("aria-invalid", String(text !== ""));
	}
	const general = apply || form.kind === "delete" ? a.error || errors[form.kind === "add" ? "" : "key"] || "" : "";
	setText($("form-error"), general);
	$("form-error").hidden = general === "";
	setText($("command"), a.command || "");
	$("command").parentElement.hidden = !a.command;
	if (apply && a.done) finish(a);
	else if (apply) (document.querySelector("#form .field:not([hidden]) [aria-invalid=true]") || $("form-error")).focus?.();
}

function finish(a) {
	$("form").close();
	setText($("done"), "Done. wgd save " + form.name + " writes it to the file of the interface.");
	if (!a.file) return;
	setText($("file-title"), a.file.name);
	setText($("text"), a.file.text);
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
	svg.setAttribute("viewBox", "-4 -4 " + (a.file.qr.size + 8) + " " + (a.file.qr.size + 8));
	svg.setAttribute("role", "img");
	svg.setAttribute("aria-label", "The file as a QR code");
	path.setAttribute("d", a.file.qr.path);
	svg.append(path);
	$("code").replaceChildren(svg);
	$("download").download = a.file.name;
	$("download").href = URL.createObjectURL(new Blob([a.file.text], { type: "text/plain" }));
	$("file").showModal();
}

// The private key stays nowhere on the page.
$("file").addEventListener("close", () => {
	URL.revokeObjectURL($("download").href);
	$("download").removeAttribute("href");
	$("text").textContent = "";
	$("code").replaceChildren();
});

let sending;
function soon() {
	clearTimeout(sending);
	sending = setTimeout(() => send(false), 200);
}
for (const input of document.querySelectorAll("#form [data-field]")) {
	input.oninput = soon;
	input.onchange = () => { form.touched.add(input.dataset.field); soon(); };
}
for (const radio of document.querySelectorAll("#kinds input")) radio.onchange = () => setKind(radio.value);
$("in-interface").onchange = () => { form.name = $("in-interface").value; setKind(form.kind); };
document.querySelector("#form form").onsubmit = e => {
	e.preventDefault();
	clearTimeout(sending);
	$("apply").disabled = true; // once: the answer may have the only copy of a key
	send(true).finally(() => $("apply").disabled = false);
};
for (const b of document.querySelectorAll("[data-close]")) b.onclick = () => b.closest("dialog").close();
$("copy").onclick = () => {
	if (navigator.clipboard) navigator.clipboard.writeText($("command").textContent).catch(() => select($("command")));
	else select($("command"));
};
function select(e) { getSelection().selectAllChildren(e); }
$("add").onclick = () => openForm("add", null);
