-- The schema of a store of wgd-peers in SQLite, version 1. docs/fleet.md explains it.
--
-- Whoever writes here needs no other rules than these: constraints and triggers refuse what
-- cannot be, and note every change for those who watch. They need SQLite 3.38 or later.

-- The peers. Times are seconds since 1970.
CREATE TABLE peers (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	public_key TEXT NOT NULL UNIQUE
		CONSTRAINT "public_key: the base64 of 32 bytes, 44 characters, and not all zeros" CHECK (
			length(public_key) = 44 AND substr(public_key, 1, 43) NOT GLOB '*[^A-Za-z0-9+/]*'
			AND substr(public_key, 43) GLOB '[AEIMQUYcgkosw048]=' AND public_key GLOB '*[^A=]*'),
	name TEXT UNIQUE
		CONSTRAINT "name: 1 to 63 letters, digits and ._@-, or NULL" CHECK (
			length(name) BETWEEN 1 AND 63 AND name NOT GLOB '*[^A-Za-z0-9._@-]*'),
	preshared_key TEXT
		CONSTRAINT "preshared_key: the base64 of 32 bytes, 44 characters, or NULL" CHECK (
			length(preshared_key) = 44 AND substr(preshared_key, 1, 43) NOT GLOB '*[^A-Za-z0-9+/]*'
			AND substr(preshared_key, 43) GLOB '[AEIMQUYcgkosw048]='),
	endpoint TEXT
		CONSTRAINT "endpoint: HOST:PORT, or NULL" CHECK (endpoint GLOB '?*:[0-9]*' AND endpoint NOT GLOB '*[ /]*'),
	persistent_keepalive INTEGER NOT NULL DEFAULT 0
		CONSTRAINT "persistent_keepalive: 1 to 65535 seconds, or 0" CHECK (persistent_keepalive BETWEEN 0 AND 65535),
	revoked INTEGER, -- when; NULL: it is not
	created INTEGER NOT NULL DEFAULT (unixepoch()),
	changed INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

-- Where a peer is expected, if it was never seen.
CREATE INDEX peers_endpoint ON peers (endpoint) WHERE endpoint IS NOT NULL;

-- The allowed IPs: ADDRESS/LENGTH in the shortest form, without bits of the host. No two
-- peers have the same one. The form of IPv6 addresses cannot be checked here: one that is
-- written otherwise is not found, and wgd-peers status reports it.
CREATE TABLE allowed_ips (
	prefix TEXT NOT NULL PRIMARY KEY
		CONSTRAINT "prefix: ADDRESS/LENGTH, in the shortest form, in lower case, without bits of the host" CHECK (
			CAST(CAST(substr(prefix, instr(prefix, '/') + 1) AS INTEGER) AS TEXT) = substr(prefix, instr(prefix, '/') + 1)
			AND CASE
			WHEN prefix GLOB '*:*/*' THEN
				prefix NOT GLOB '*[^0-9a-f:./]*' AND CAST(substr(prefix, instr(prefix, '/') + 1) AS INTEGER) BETWEEN 0 AND 128
			WHEN prefix GLOB '*[^0-9./]*' OR prefix NOT GLOB '*/*'
				OR NOT json_valid('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']') THEN 0
			ELSE
				json_array_length('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']') = 4
				AND json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[0]') <= 255
				AND json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[1]') <= 255
				AND json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[2]') <= 255
				AND json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[3]') <= 255
				AND CAST(substr(prefix, instr(prefix, '/') + 1) AS INTEGER) BETWEEN 0 AND 32
				AND ((json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[0]') << 24)
					| (json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[1]') << 16)
					| (json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[2]') << 8)
					| json_extract('[' || replace(substr(prefix, 1, instr(prefix, '/') - 1), '.', ',') || ']', '$[3]'))
					& ((1 << (32 - CAST(substr(prefix, instr(prefix, '/') + 1) AS INTEGER))) - 1) = 0
			END),
	peer INTEGER NOT NULL REFERENCES peers (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX allowed_ips_peer ON allowed_ips (peer);

-- The lengths that prefixes have or had, for the search for the longest. ipv6: 0 or 1.
CREATE TABLE prefix_lengths (
	ipv6 INTEGER NOT NULL,
	length INTEGER NOT NULL,
	PRIMARY KEY (ipv6, length)
) STRICT, WITHOUT ROWID;

-- What gateways have seen of the peers. Changes here are not noted.
CREATE TABLE seen (
	peer INTEGER PRIMARY KEY REFERENCES peers (id) ON DELETE CASCADE,
	endpoint TEXT,               -- the last one, ADDRESS:PORT
	at INTEGER NOT NULL DEFAULT 0, -- when the peer was there
	stamp TEXT                   -- the greatest received TAI64N, as 24 hexadecimal digits
		CONSTRAINT "stamp: 24 hexadecimal digits in lower case, or NULL" CHECK (
			length(stamp) = 24 AND stamp NOT GLOB '*[^0-9a-f]*'),
	rx_bytes INTEGER NOT NULL DEFAULT 0 CHECK (rx_bytes >= 0),
	tx_bytes INTEGER NOT NULL DEFAULT 0 CHECK (tx_bytes >= 0)
) STRICT;

CREATE INDEX seen_endpoint ON seen (endpoint, at);

-- What clients must know about the gateways: one row, as JSON.
CREATE TABLE gateway (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	value TEXT NOT NULL CHECK (json_valid(value))
) STRICT;

-- The last 100,000 changes of peers. Revisions have no gaps.
CREATE TABLE changes (
	revision INTEGER PRIMARY KEY AUTOINCREMENT,
	public_key TEXT NOT NULL
) STRICT;

CREATE TRIGGER changes_trimmed AFTER INSERT ON changes BEGIN
	DELETE FROM changes WHERE revision <= new.revision - 100000;
END;

CREATE TRIGGER peers_inserted AFTER INSERT ON peers BEGIN
	INSERT INTO changes (public_key) VALUES (new.public_key);
END;

CREATE TRIGGER peers_updated AFTER UPDATE OF id, public_key, name, preshared_key, endpoint, persistent_keepalive, revoked ON peers BEGIN
	INSERT INTO changes (public_key) SELECT old.public_key WHERE old.public_key <> new.public_key;
	INSERT INTO changes (public_key) VALUES (new.public_key);
	UPDATE peers SET changed = unixepoch() WHERE id = new.id;
END;

-- Also where foreign keys are off, as in the program sqlite3.
CREATE TRIGGER peers_deleted AFTER DELETE ON peers BEGIN
	DELETE FROM allowed_ips WHERE peer = old.id;
	DELETE FROM seen WHERE peer = old.id;
	INSERT INTO changes (public_key) VALUES (old.public_key);
END;

CREATE TRIGGER allowed_ips_without_peer BEFORE INSERT ON allowed_ips
WHEN NOT EXISTS (SELECT 1 FROM peers WHERE id = new.peer) BEGIN
	SELECT RAISE(ABORT, 'allowed_ips.peer: there is no peer with this id');
END;

CREATE TRIGGER seen_without_peer BEFORE INSERT ON seen
WHEN NOT EXISTS (SELECT 1 FROM peers WHERE id = new.peer) BEGIN
	SELECT RAISE(ABORT, 'seen.peer: there is no peer with this id');
END;

CREATE TRIGGER allowed_ips_inserted AFTER INSERT ON allowed_ips BEGIN
	INSERT INTO prefix_lengths (ipv6, length)
		SELECT new.prefix GLOB '*:*', CAST(substr(new.prefix, instr(new.prefix, '/') + 1) AS INTEGER)
		WHERE NOT EXISTS (SELECT 1 FROM prefix_lengths
			WHERE ipv6 = (new.prefix GLOB '*:*') AND length = CAST(substr(new.prefix, instr(new.prefix, '/') + 1) AS INTEGER));
	INSERT INTO changes (public_key) SELECT public_key FROM peers WHERE id = new.peer;
END;

CREATE TRIGGER allowed_ips_updated AFTER UPDATE ON allowed_ips BEGIN
	INSERT INTO prefix_lengths (ipv6, length)
		SELECT new.prefix GLOB '*:*', CAST(substr(new.prefix, instr(new.prefix, '/') + 1) AS INTEGER)
		WHERE NOT EXISTS (SELECT 1 FROM prefix_lengths
			WHERE ipv6 = (new.prefix GLOB '*:*') AND length = CAST(substr(new.prefix, instr(new.prefix, '/') + 1) AS INTEGER));
	INSERT INTO changes (public_key) SELECT public_key FROM peers WHERE id IN (old.peer, new.peer);
END;

CREATE TRIGGER allowed_ips_deleted AFTER DELETE ON allowed_ips BEGIN
	INSERT INTO changes (public_key) SELECT public_key FROM peers WHERE id = old.peer;
END;

-- Added later: whoever opens a store to write makes what follows, if it is not there.

-- A time that the clocks of all gateways have not reached, by which they know the one that is
-- ahead: one row. That gateway raises it ahead of time, 4 times in a minute.
CREATE TABLE IF NOT EXISTS stamp_ceiling (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	at INTEGER NOT NULL -- seconds since 1970
) STRICT;
