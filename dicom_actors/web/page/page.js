// The page of the DICOMweb server. Its way through: small things, the server, studies, a study,
// the image, tags, uploads, the system, live events, the way around. Everything foreign becomes
// text, never markup.

// --- small things --------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || value === null) continue;
    if (key === "className") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

function plural(count, word, words = `${word}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? word : words}`;
}

function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let at = 0;
  let value = count;
  for (; value >= 1000 && at < units.length - 1; at += 1) value /= 1000;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function later(action, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

function announce(text) {
  $("status").textContent = text;
}

let alertTimer = 0;
function complain(text) {
  const alert = $("alert");
  alert.hidden = false;
  alert.textContent = text;
  clearTimeout(alertTimer);
  alertTimer = setTimeout(() => { alert.hidden = true; }, 8000);
}

// Puts rows in order, and keeps those that are there already, so that focus and selection stay.
function arrange(body, items, keyOf, makeRow, fillRow) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let place = body.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = makeRow(item);
      row.dataset.key = key;
    }
    fillRow(row, item);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  for (const row of known.values()) row.remove();
}

// --- the DICOM JSON model ------------------------------------------------------------------

const values = (model, tag) => model?.[tag]?.Value ?? [];

function nameOf(value) {
  const text = typeof value === "string" ? value : value?.Alphabetic ?? value?.Ideographic ?? "";
  const [family = "", given = "", middle = "", prefix = "", suffix = ""] = text.split("^");
  const first = [prefix, given, middle].filter(Boolean).join(" ");
  return [[family, first].filter(Boolean).join(", "), suffix].filter(Boolean).join(" ");
}

function text(model, tag) {
  const element = model?.[tag];
  const shown = values(model, tag).filter((value) => value !== null && value !== undefined);
  return element?.vr === "PN" ? shown.map(nameOf).join("; ") : shown.join(", ");
}

function number(model, tag, otherwise = NaN) {
  const value = Number(values(model, tag)[0]);
  return values(model, tag).length && Number.isFinite(value) ? value : otherwise;
}

function day(value) {
  // With dots, as ACR-NEMA had it.
  const digits = /^\d{4}\.\d\d\.\d\d$/.test(value) ? value.replaceAll(".", "") : value;
  return /^\d{8}$/.test(digits) ? `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6)}` : value;
}

const patientOf = (model) => text(model, "00100010") || "No name";

// --- the server ----------------------------------------------------------------------------

const TOKEN = "dicom-actors.token";

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const server = {
  needsToken: false,
  may: null,

  get token() {
    return this.needsToken ? sessionStorage.getItem(TOKEN) : null;
  },

  headers(more = {}) {
    return this.token ? { ...more, Authorization: `Bearer ${this.token}` } : more;
  },

  async fetch(path, { accept = "application/json", signal, method = "GET", headers = {}, body } = {}) {
    for (;;) {
      const token = this.token;
      const options = { method, signal, body, headers: this.headers({ Accept: accept, ...headers }) };
      const response = await fetch(path, { ...options, credentials: path === "api/page" ? "same-origin" : "omit", redirect: "error" });
      if (response.ok) return response;
      if (response.status === 401 && this.needsToken) {
        if (token === this.token) await askToken("The server does not know this token.");
        continue;
      }
      let why = (await response.text()).trim();
      try {
        why = JSON.parse(why).error ?? why;
      } catch {
        // Most refusals are a line of text.
      }
      throw new Refused(response.status, why || `status ${response.status}`);
    }
  },

  async json(path, options = {}) {
    const response = await this.fetch(path, options);
    return response.status === 204 ? null : response.json();
  },

  operate(path, body = {}) {
    const headers = { "Content-Type": "application/json" };
    if (this.may?.operation_token) headers["X-Operation-Token"] = this.may.operation_token;
    return this.json(path, { method: "POST", headers, body: JSON.stringify(body) });
  },

  async learn() {
    const may = await this.json("api/page");
    this.may = may;
    $("upload-button").hidden = !may.can_store;
    $("operations").hidden = !may.can_operate;
    $("operations-note").hidden = may.can_operate;
    $("queues-panel").hidden = !may.has_queues;
    $("token-button").textContent = may.name ? `Token: ${may.name}` : "Token…";
  },
};

const DICOM_JSON = { accept: "application/dicom+json" };

let asking = null;

// Asks for a token; resolves once there is another one.
function askToken(problem = "") {
  if (asking) return asking;
  asking = new Promise((resolve) => {
    const dialog = $("token-dialog");
    const form = $("token-form");
    $("token-error").textContent = sessionStorage.getItem(TOKEN) ? problem : "";
    $("token-input").value = "";
    const submit = (event) => {
      event.preventDefault();
      const token = $("token-input").value.trim();
      if (!token) return;
      sessionStorage.setItem(TOKEN, token);
      form.removeEventListener("submit", submit);
      dialog.removeEventListener("cancel", stay);
      dialog.close();
      asking = null;
      resolve();
    };
    const stay = (event) => event.preventDefault();
    form.addEventListener("submit", submit);
    dialog.addEventListener("cancel", stay);
    if (!dialog.open) dialog.showModal();
    $("token-input").focus();
  });
  return asking;
}

$("token-forget").addEventListener("click", async () => {
  sessionStorage.removeItem(TOKEN);
  try {
    await fetch("forget", { method: "POST" }); // the cookie that the viewer is let in by
  } finally {
    location.reload();
  }
});
$("token-button").addEventListener("click", () => {
  askToken().then(() => location.reload());
});

// Asks whether something is to be done; resolves to false, true, or the number that was given.
function confirm(title, explanation, action, field = false) {
  return new Promise((resolve) => {
    const dialog = $("confirm-dialog");
    const form = $("confirm-form");
    setText($("confirm-title"), title);
    setText($("confirm-text"), explanation);
    setText($("confirm-go"), action);
    $("confirm-field").hidden = !field;
    const before = document.activeElement;
    const done = (answer) => {
      form.removeEventListener("submit", submit);
      dialog.removeEventListener("close", close);
      if (dialog.open) dialog.close();
      if (before?.isConnected) before.focus();
      resolve(answer);
    };
    const submit = (event) => {
      event.preventDefault();
      done(field ? Number($("confirm-number").value) : true);
    };
    const close = () => {
      if (!dialog.open) done(false); // else it is told late of the one before
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("close", close);
    dialog.showModal();
    $("confirm-cancel").focus();
  });
}
$("confirm-cancel").addEventListener("click", () => $("confirm-dialog").close());

// --- studies -------------------------------------------------------------------------------

const studies = {
  offset: 0,
  models: [],
  seen: new Set(),
  asked: null,
  has: false,

  query() {
    const form = new FormData($("search"));
    const query = new URLSearchParams();
    for (const keyword of ["PatientName", "PatientID", "StudyDescription", "AccessionNumber"]) {
      const words = form.get(keyword).trim().split(/\s+/).filter(Boolean);
      if (words.length) query.append(keyword, `*${words.join("*")}*`);
    }
    const modality = form.get("ModalitiesInStudy").trim().toUpperCase();
    if (modality) query.append("ModalitiesInStudy", `${modality}*`);
    const [from, to] = ["from", "to"].map((name) => form.get(name).replaceAll("-", ""));
    if (from || to) query.append("StudyDate", `${from}-${to}`);
    query.append("sort", form.get("sort"));
    return query;
  },

  get size() {
    return Number($("page-size").value);
  },

  async load({ isLive = false } = {}) {
    this.asked?.abort();
    const asked = new AbortController();
    this.asked = asked;
    const query = this.query();
    query.append("limit", this.size + 1);
    query.append("offset", this.offset);
    $("studies").classList.add("busy");
    try {
      const options = { ...DICOM_JSON, signal: asked.signal };
      const found = await server.json(`dicom-web/studies?${query}`, options);
      if (!found?.length && this.offset > 0) {
        this.offset = Math.max(0, this.offset - this.size);
        await this.load({ isLive });
        return;
      }
      this.show(found ?? [], isLive);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.show([], false);
      setText($("studies-empty-text"), `The studies cannot be read: ${error.message}`);
    } finally {
      if (this.asked === asked) $("studies").classList.remove("busy");
    }
  },

  show(found, isLive) {
    const hasMore = found.length > this.size;
    this.models = found.slice(0, this.size);
    const isFiltered = [...this.query().keys()].some((key) => key !== "sort");
    const fresh = [];
    arrange(
      $("studies-body"),
      this.models,
      (model) => text(model, "0020000D"),
      (model) => {
        const uid = text(model, "0020000D");
        if (isLive && !this.seen.has(uid)) fresh.push(model);
        return studyRow(uid);
      },
      fillStudy,
    );
    for (const model of this.models) this.seen.add(text(model, "0020000D"));
    for (const model of fresh) {
      const row = $("studies-body").querySelector(`[data-key="${CSS.escape(text(model, "0020000D"))}"]`);
      row?.classList.add("fresh");
      setTimeout(() => row?.classList.remove("fresh"), 5000);
    }
    if (fresh.length) announce(`${plural(fresh.length, "new study", "new studies")}: ${fresh.map(patientOf).join("; ")}`);
    const count = this.models.length;
    $("studies").hidden = count === 0;
    $("studies-empty").hidden = count > 0;
    setText($("studies-empty-text"), isFiltered ? "No study matches." : "There are no studies yet. Send some with a DICOM sender, or drop files here.");
    $("page-previous").disabled = this.offset === 0;
    $("page-next").disabled = !hasMore;
    const range = count ? `${this.offset + 1} to ${this.offset + count}` : "none";
    setText($("page-text"), hasMore || this.offset ? `Studies ${range}` : plural(count, "study", "studies"));
    if (this.has && !isLive) announce(isFiltered ? `${plural(count, "study", "studies")}${hasMore ? " and more" : ""} found` : `Studies ${range}`);
    this.has = true;
  },
};

const COLUMNS = ["Patient", "Patient ID", "Date", "Modality", "Description", "Accession", "Series", "Images"];

function studyRow(uid) {
  const row = make("tr", { role: "row" });
  for (const [at, label] of COLUMNS.entries()) {
    row.append(make("td", { role: "cell", "data-label": at ? label : undefined, className: at > 5 ? "number" : "" }));
  }
  row.firstElementChild.append(make("a", { href: `#/study/${uid}` }));
  row.addEventListener("click", (event) => {
    if (!event.target.closest("a") && !getSelection().toString()) location.hash = `#/study/${uid}`;
  });
  return row;
}

function fillStudy(row, model) {
  const cells = row.children;
  setText(cells[0].firstElementChild, patientOf(model));
  setText(cells[1], text(model, "00100020"));
  setText(cells[2], day(text(model, "00080020")));
  const modalities = values(model, "00080061");
  if (cells[3].dataset.is !== modalities.join()) {
    cells[3].dataset.is = modalities.join();
    cells[3].replaceChildren(...modalities.map((one) => make("span", { className: "badge" }, one)));
  }
  setText(cells[4], text(model, "00081030"));
  setText(cells[5], text(model, "00080050"));
  setText(cells[6], text(model, "00201206"));
  setText(cells[7], text(model, "00201208"));
}

const searchLater = later(() => {
  studies.offset = 0;
  studies.load();
}, 200);
$("search").addEventListener("input", searchLater);
$("search").addEventListener("change", searchLater);
$("search").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("reset", () => setTimeout(searchLater));
$("page-size").addEventListener("change", searchLater);
$("page-previous").addEventListener("click", () => {
  studies.offset = Math.max(0, studies.offset - studies.size);
  studies.load();
});
$("page-next").addEventListener("click", () => {
  studies.offset += studies.size;
  studies.load();
});

// --- a study -------------------------------------------------------------------------------

const study = {
  uid: "",
  series: "",
  model: null,
  round: 0,

  async open(uid, series) {
    const isOther = uid !== this.uid;
    this.uid = uid;
    if (isOther) {
      this.series = "";
      this.model = null;
      $("series-list").replaceChildren();
      setText($("study-title"), "Study");
      setText($("study-facts"), "");
      viewer.clear("Loading…");
    }
    $("study-delete").hidden = !server.may?.can_delete;
    const link = $("study-viewer");
    link.hidden = !server.may?.viewer;
    if (server.may?.viewer) link.href = `.${server.may.viewer}/viewer?StudyInstanceUIDs=${uid}`;
    await this.load(series);
  },

  async load(wanted = this.series) {
    const uid = this.uid;
    const round = ++this.round;
    let found;
    try {
      const [models, series] = await Promise.all([
        server.json(`dicom-web/studies?StudyInstanceUID=${uid}&limit=1`, DICOM_JSON),
        server.json(`dicom-web/studies/${uid}/series`, DICOM_JSON),
      ]);
      this.model = models?.[0] ?? null;
      found = series ?? [];
    } catch (error) {
      if (round === this.round) viewer.clear(`The study cannot be read: ${error.message}`);
      return;
    }
    if (round !== this.round) return;
    if (!this.model || !found.length) {
      viewer.clear("There is no such study.");
      $("series-list").replaceChildren();
      setText($("study-title"), "No such study");
      setText($("study-facts"), "");
      return;
    }
    setText($("study-title"), patientOf(this.model));
    document.title = `${patientOf(this.model)} – dicom-actors`;
    const facts = ["00100020", "00100040", "00100030", "00080020", "00081030", "00080050"].map((tag) => {
      const value = text(this.model, tag);
      return ["00100030", "00080020"].includes(tag) ? day(value) : value;
    });
    if (facts[2]) facts[2] = `born ${facts[2]}`;
    setText($("study-facts"), facts.filter(Boolean).join(" · "));
    $("study-facts").title = $("study-facts").textContent;
    found.sort((one, other) => number(one, "00200011", 1e9) - number(other, "00200011", 1e9));
    arrange($("series-list"), found, (one) => text(one, "0020000E"), (one) => seriesItem(uid, text(one, "0020000E")), fillSeries);
    const uids = found.map((one) => text(one, "0020000E"));
    const chosen = uids.includes(wanted) ? wanted : uids[0];
    const count = number(found[uids.indexOf(chosen)], "00201209", 0);
    for (const button of $("series-list").querySelectorAll("button")) {
      button.setAttribute("aria-current", button.dataset.uid === chosen);
    }
    if (chosen !== this.series || count !== viewer.instances.length) {
      const isSame = chosen === this.series;
      this.series = chosen;
      await viewer.open(uid, chosen, isSame);
    }
  },
};

function seriesItem(studyUid, uid) {
  const thumb = make("span", { className: "thumb", "aria-hidden": "true" });
  const button = make("button", { type: "button", "data-uid": uid }, thumb, make("b"), make("span"));
  button.addEventListener("click", () => { location.hash = `#/study/${studyUid}/${uid}`; });
  return make("li", {}, button);
}

function fillSeries(item, model) {
  const button = item.firstElementChild;
  const [thumb, title, facts] = button.children;
  const modality = text(model, "00080060") || "?";
  const count = number(model, "00201209", 0);
  setText(title, text(model, "0008103E") || `Series ${text(model, "00200011") || ""}`.trim());
  setText(facts, `${modality} · ${plural(count, "object")}`);
  if (thumb.dataset.count === String(count)) return;
  thumb.dataset.count = String(count);
  if (!thumb.firstElementChild) setText(thumb, modality);
  const path = `dicom-web/studies/${study.uid}/series/${button.dataset.uid}/thumbnail`;
  if (NO_PICTURE.has(modality)) return;
  picture(path).then((url) => {
    const image = make("img", { src: url, alt: "" });
    image.addEventListener("load", () => URL.revokeObjectURL(url));
    thumb.replaceChildren(image);
  }, () => setText(thumb, modality));
}

const NO_PICTURE = new Set(["SR", "PR", "KO", "DOC", "PLAN", "REG", "AU", "ECG", "HD", "RTSTRUCT", "RTPLAN", "RTRECORD", "EPS", "FID", "RWV"]);

async function picture(path) {
  const response = await server.fetch(path, { accept: "image/jpeg" });
  return URL.createObjectURL(await response.blob());
}

$("study-download").addEventListener("click", () => download("", `study-${study.uid.slice(-12)}.zip`));
$("study-download-clean").addEventListener("click", () => download("?deidentified=true", "deidentified.zip"));

async function download(query, name) {
  try {
    const { url } = await server.json(`api/studies/${study.uid}/download${query}`);
    const link = make("a", { href: url, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    announce("The download has begun.");
  } catch (error) {
    complain(`The study cannot be downloaded: ${error.message}`);
  }
}

$("study-delete").addEventListener("click", async () => {
  const count = number(study.model, "00201208", 0);
  const what = `${patientOf(study.model)}, ${text(study.model, "00081030") || "no description"}: ${plural(count, "object")} will be deleted. This cannot be undone.`;
  if (!(await confirm("Delete this study?", what, "Delete"))) return;
  try {
    await server.fetch(`dicom-web/studies/${study.uid}`, { method: "DELETE", accept: "*/*" });
    announce("The study was deleted.");
    study.uid = "";
    location.hash = "#/studies";
  } catch (error) {
    complain(`The study cannot be deleted: ${error.message}`);
  }
});

// --- the image -----------------------------------------------------------------------------

const RAW = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1";
const CACHE_BYTES = 256 * 1024 * 1024;
const PRESETS = [
  ["CT abdomen", 60, 400], ["CT lung", -600, 1500], ["CT bone", 480, 2500], ["CT brain", 40, 80],
];

// What is needed of an instance to show it; PS3.3 C.7.6.3, C.11.1, C.11.2, C.9.2.
function describe(model) {
  const of = (tag, otherwise) => number(model, tag, otherwise);
  const photometric = text(model, "00280004");
  const bitsAllocated = of("00280100", 0);
  const overlays = [];
  let hasEmbedded = false;
  for (let group = 0x6000; group <= 0x601e; group += 2) {
    const at = (element) => group.toString(16) + element;
    if (!model[at("0010")]) continue;
    if (model[at("3000")]) overlays.push(group.toString(16));
    else hasEmbedded = true;
  }
  const isGray = photometric === "MONOCHROME1" || photometric === "MONOCHROME2";
  const hasTables = Boolean(values(model, "00283000").length || (values(model, "00283010").length && !values(model, "00281050").length));
  const ratio = values(model, "00280034").map(Number);
  const spacing = (values(model, "00280030").length ? values(model, "00280030") : values(model, "00181164")).map(Number);
  let aspect = 1;
  if (spacing.length === 2 && spacing[0] > 0 && spacing[1] > 0) aspect = spacing[0] / spacing[1];
  else if (ratio.length === 2 && ratio[0] > 0 && ratio[1] > 0) aspect = ratio[0] / ratio[1];
  return {
    model,
    uid: text(model, "00080018"),
    rows: of("00280010", 0),
    columns: of("00280011", 0),
    frames: Math.max(1, of("00280008", 1)),
    hasPixels: Boolean(model["7FE00010"] || model["7FE00008"] || model["7FE00009"]) || of("00280010", 0) > 0,
    bitsAllocated,
    bitsStored: of("00280101", bitsAllocated),
    highBit: of("00280102", of("00280101", bitsAllocated) - 1),
    isSigned: of("00280103", 0) === 1,
    isInverse: text(model, "20500020") ? text(model, "20500020") === "INVERSE" : photometric === "MONOCHROME1",
    isGray,
    canBeRaw: isGray && of("00280002", 1) === 1 && [8, 16].includes(bitsAllocated) && !hasTables && !hasEmbedded,
    overlays,
    hasOverlays: hasEmbedded || overlays.length > 0,
    planes: new Map(),
    aspect,
    padding: paddingOf(model),
  };
}

function paddingOf(model) {
  const first = number(model, "00280120");
  if (Number.isNaN(first)) return null;
  const last = number(model, "00280121", first);
  return [Math.min(first, last), Math.max(first, last)];
}

// The attributes of a frame: those of its functional groups, the shared ones, else the object's.
function ofFrame(model, index, sequence) {
  const own = values(values(model, "52009230")[index], sequence)[0];
  return own ?? values(values(model, "52009229")[0], sequence)[0] ?? model;
}

function rescaleOf(instance, index) {
  const item = ofFrame(instance.model, index, "00289145");
  return { slope: number(item, "00281053", 1), intercept: number(item, "00281052", 0) };
}

function windowsOf(instance, index) {
  const item = ofFrame(instance.model, index, "00289132");
  const centers = values(item, "00281050").map(Number);
  const widths = values(item, "00281051").map(Number);
  const names = values(item, "00281055");
  const shape = text(item, "00281056") || "LINEAR";
  return centers
    .map((center, at) => ({ center, width: widths[at], shape, name: names[at] || `Window ${at + 1}` }))
    .filter((one) => Number.isFinite(one.center) && one.width > 0);
}

// Shades of stored values, as a table of 0 to 255 by the low bits of what is stored.
function shadesOf(instance, { slope, intercept }, { center, width, shape }, isInverse) {
  const bits = instance.bitsStored;
  const count = 1 << bits;
  const half = count >> 1;
  const table = new Uint8ClampedArray(count);
  for (let at = 0; at < count; at += 1) {
    const stored = instance.isSigned && at >= half ? at - count : at;
    const value = stored * slope + intercept;
    let shade;
    if (shape === "SIGMOID") shade = 255 / (1 + Math.exp((-4 * (value - center)) / width));
    else if (shape === "LINEAR_EXACT") shade = ((value - center) / width + 0.5) * 255;
    else if (width <= 1) shade = value <= center - 0.5 ? 0 : 255;
    else shade = ((value - (center - 0.5)) / (width - 1) + 0.5) * 255;
    table[at] = shade;
    if (isInverse) table[at] = 255 - table[at];
  }
  return table;
}

const viewer = {
  instances: [],
  frames: [],
  at: 0,
  cache: new Map(),
  cached: 0,
  path: "",
  shown: null,
  window: null, // chosen by hand; null: that of the image
  zoom: 1,
  pan: [0, 0],
  isInverted: false,
  hasOverlays: true,
  round: 0,
  isLoading: false,
  playing: null,

  clear(message = "") {
    this.stop();
    this.round += 1;
    this.instances = [];
    this.frames = [];
    this.cache.clear();
    this.cached = 0;
    this.shown = null;
    this.at = 0;
    this.say(message);
    this.describeFrame();
    tags.show(null);
    draw();
  },

  say(message) {
    $("stage-message").hidden = !message;
    setText($("stage-message"), message);
  },

  async open(studyUid, seriesUid, isSame) {
    const before = isSame ? this.at : 0;
    if (!isSame) {
      this.clear("Loading…");
      this.resetView();
    }
    const round = ++this.round;
    this.path = `dicom-web/studies/${studyUid}/series/${seriesUid}`;
    let models;
    try {
      models = (await server.json(`${this.path}/metadata`, DICOM_JSON)) ?? [];
    } catch (error) {
      if (round === this.round) this.clear(`The series cannot be read: ${error.message}`);
      return;
    }
    if (round !== this.round) return;
    this.instances = models.map(describe);
    if (isSame) {
      this.cache.clear();
      this.cached = 0;
    }
    this.instances.sort((one, other) => number(one.model, "00200013", 1e9) - number(other.model, "00200013", 1e9));
    this.frames = this.instances.flatMap((instance) => (instance.hasPixels
      ? Array.from({ length: Math.min(instance.frames, 100000) }, (_, index) => ({ instance, index }))
      : [{ instance, index: 0 }]));
    const rate = this.instances.map((one) => number(one.model, "00082144", number(one.model, "00180040", 1000 / number(one.model, "00181063", NaN)))).find((one) => one > 0);
    $("rate").value = Math.round(clamp(rate || 10, 1, 60));
    fillPresets(this.instances[0]);
    await this.show(clamp(before, 0, Math.max(0, this.frames.length - 1)));
  },

  async show(at) {
    if (!this.frames.length) {
      this.clear("There is nothing in this series.");
      return;
    }
    this.at = clamp(Math.round(at), 0, this.frames.length - 1);
    this.describeFrame();
    if (this.isLoading) return;
    this.isLoading = true;
    const round = this.round;
    try {
      // Whoever turns the wheel faster than frames come sees the last one, not each.
      for (let shown = -1; shown !== this.at && round === this.round;) {
        shown = this.at;
        const frame = this.frames[shown];
        try {
          const pixels = await this.load(shown);
          if (round !== this.round) break;
          this.shown = { frame, pixels };
          this.say("");
        } catch (error) {
          if (round !== this.round) break;
          this.shown = null;
          this.say(frame.instance.hasPixels ? `There is no picture of this: ${error.message}` : "This object has no image. Its values are beside it.");
        }
        draw();
        tags.show(frame.instance);
      }
    } finally {
      this.isLoading = false;
    }
    if (round !== this.round) this.show(this.at);
    else this.prefetch();
  },

  async prefetch() {
    const round = this.round;
    for (const step of [1, 2, 3, -1, 4, 5]) {
      const at = this.at + step;
      if (this.isLoading || round !== this.round) return;
      if (at >= 0 && at < this.frames.length) await this.load(at).catch(() => null);
    }
  },

  load(at) {
    const { instance, index } = this.frames[at];
    if (!instance.hasPixels) return Promise.reject(new Error("no pixels"));
    const key = `${instance.uid} ${index} ${instance.canBeRaw ? "raw" : this.renderedKey(instance)}`;
    const known = this.cache.get(key);
    if (known) {
      this.cache.delete(key);
      this.cache.set(key, known);
      return known.pixels;
    }
    const entry = { size: 0 };
    entry.pixels = (instance.canBeRaw ? this.loadRaw(instance, index) : this.loadRendered(instance, index)).then((pixels) => {
      entry.size = pixels.size;
      if (this.cache.get(key) === entry) this.cached += entry.size;
      this.shrink();
      return pixels;
    });
    entry.pixels.catch(() => this.cache.delete(key));
    this.cache.set(key, entry);
    return entry.pixels;
  },

  shrink() {
    for (const [key, entry] of this.cache) {
      if (this.cached <= CACHE_BYTES) return;
      if (entry.size && this.cache.size > 1) {
        this.cached -= entry.size;
        this.cache.delete(key);
      }
    }
  },

  async loadRaw(instance, index) {
    const path = `${this.path}/instances/${instance.uid}/frames/${index + 1}`;
    let data;
    try {
      data = await (await server.fetch(path, { accept: RAW })).arrayBuffer();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      instance.canBeRaw = false; // the server may know better how to make a picture of it
      return this.loadRendered(instance, index);
    }
    const count = instance.rows * instance.columns;
    const size = instance.bitsAllocated / 8;
    if (data.byteLength < count * size) {
      instance.canBeRaw = false;
      return this.loadRendered(instance, index);
    }
    const stored = size === 1 ? new Uint8Array(data, 0, count) : littleEndian(data, count);
    const overlays = await this.loadOverlays(instance, index);
    return { stored, overlays, size: data.byteLength };
  },

  renderedKey(instance) {
    const parts = [this.hasOverlays ? "with" : "without"];
    if (instance.isGray && this.window) parts.push(this.window.center, this.window.width);
    return parts.join(" ");
  },

  async loadRendered(instance, index) {
    const query = new URLSearchParams({ quality: "92" });
    if (!this.hasOverlays) query.append("overlays", "false");
    if (instance.isGray && this.window) query.append("window", `${this.window.center},${this.window.width},linear`);
    const path = `${this.path}/instances/${instance.uid}/frames/${index + 1}/rendered?${query}`;
    const blob = await (await server.fetch(path, { accept: "image/jpeg" })).blob();
    const bitmap = await createImageBitmap(blob);
    return { bitmap, size: bitmap.width * bitmap.height * 4 };
  },

  // Planes of single bits (PS3.3 C.9.2), as lists of places in the image.
  async loadOverlays(instance, index) {
    const planes = [];
    for (const group of instance.overlays) {
      const at = (element) => group + element;
      const rows = number(instance.model, at("0010"), 0);
      const columns = number(instance.model, at("0011"), 0);
      const count = number(instance.model, at("0015"), 1);
      const first = number(instance.model, at("0051"), 1) - 1;
      const origin = values(instance.model, at("0050")).map(Number);
      const plane = index - first;
      if (!rows || !columns || plane < 0 || (plane >= count && count > 1) || (count === 1 && instance.frames > 1 && plane > 0 && model60(instance, at))) continue;
      if (!instance.planes.has(group)) instance.planes.set(group, overlayData(instance.model[at("3000")]));
      const data = await instance.planes.get(group);
      planes.push({ data, rows, columns, start: (count > 1 ? plane : 0) * rows * columns, top: (origin[0] || 1) - 1, left: (origin[1] || 1) - 1 });
    }
    return planes;
  },

  resetView() {
    this.window = null;
    this.zoom = 1;
    this.pan = [0, 0];
    this.isInverted = false;
    $("invert").setAttribute("aria-pressed", "false");
  },

  // The window that is used: the one that was chosen, the image's own, or from lowest to highest.
  used(shown = this.shown) {
    if (this.window) return this.window;
    const { instance, index } = shown.frame;
    const own = windowsOf(instance, index)[0];
    if (own) return own;
    if (!shown.pixels.stored) return null;
    if (!shown.pixels.extent) shown.pixels.extent = extentOf(instance, shown.pixels.stored);
    const { slope, intercept } = rescaleOf(instance, index);
    const ends = shown.pixels.extent.map((value) => value * slope + intercept);
    const low = Math.min(...ends);
    const width = Math.max(...ends) - low;
    if (width <= 0) return { center: low + 1, width: 1, shape: "LINEAR" };
    return { center: low + width / 2, width, shape: "LINEAR_EXACT" };
  },

  setWindow(center, width) {
    if (!this.shown || !this.shown.frame.instance.isGray) return;
    const shape = this.used()?.shape ?? "LINEAR";
    this.window = { center, width: Math.max(shape === "LINEAR" ? 1 : 0.001, width), shape: shape === "SIGMOID" ? "SIGMOID" : "LINEAR" };
    if (this.shown.pixels.stored) draw();
    else this.show(this.at);
  },

  describeFrame() {
    const count = this.frames.length;
    const slider = $("frame");
    slider.max = Math.max(1, count);
    slider.value = this.at + 1;
    slider.disabled = $("play").disabled = count < 2;
    slider.setAttribute("aria-valuetext", count ? `${this.at + 1} of ${count}` : "none");
    setText($("frame-text"), count ? `${this.at + 1} / ${count}` : "–");
  },

  play() {
    if (this.playing || this.frames.length < 2) return;
    $("play").setAttribute("aria-pressed", "true");
    setText($("play"), "Pause");
    let due = performance.now();
    const step = async (now) => {
      if (!this.playing) return;
      if (now >= due && !this.isLoading) {
        due = Math.max(due + 1000 / clamp(Number($("rate").value) || 10, 1, 60), now - 100);
        await this.show((this.at + 1) % this.frames.length);
      }
      if (this.playing) this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
  },

  stop() {
    if (this.playing) cancelAnimationFrame(this.playing);
    this.playing = null;
    $("play").setAttribute("aria-pressed", "false");
    setText($("play"), "Play");
  },

  async redo() {
    draw();
    if (this.shown && !this.shown.pixels.stored) await this.show(this.at);
  },
};

// One plane without a number of its own is of all frames.
function model60(instance, at) {
  return Boolean(instance.model[at("0051")]);
}

async function overlayData(element) {
  if (element.InlineBinary) return Uint8Array.from(atob(element.InlineBinary), (c) => c.charCodeAt(0));
  if (!element.BulkDataURI) return new Uint8Array();
  const path = new URL(element.BulkDataURI, location.href).pathname;
  const own = path.slice(path.indexOf("dicom-web/"));
  const response = await server.fetch(own, { accept: "application/octet-stream" });
  return new Uint8Array(await response.arrayBuffer());
}

const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function littleEndian(data, count) {
  if (IS_LITTLE) return new Uint16Array(data, 0, count);
  const view = new DataView(data);
  return Uint16Array.from({ length: count }, (_, at) => view.getUint16(2 * at, true));
}

function storedValue(instance, raw) {
  const low = (raw >> (instance.highBit + 1 - instance.bitsStored)) & ((1 << instance.bitsStored) - 1);
  return instance.isSigned && low >= 1 << (instance.bitsStored - 1) ? low - (1 << instance.bitsStored) : low;
}

function extentOf(instance, stored) {
  let low = Infinity;
  let high = -Infinity;
  for (const padding of [instance.padding, null]) {
    for (let at = 0; at < stored.length; at += 1) {
      const value = storedValue(instance, stored[at]);
      if (padding && value >= padding[0] && value <= padding[1]) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low <= high) break;
  }
  return low <= high ? [low, high] : [0, 0];
}

// What is stored, as a picture of its own size.
const plate = document.createElement("canvas");
const plateContext = plate.getContext("2d", { willReadFrequently: true });
let plateImage = null;

function develop({ frame, pixels }) {
  const { instance, index } = frame;
  const { rows, columns } = instance;
  if (plate.width !== columns || plate.height !== rows || !plateImage) {
    plate.width = columns;
    plate.height = rows;
    plateImage = plateContext.createImageData(columns, rows);
  }
  const table = shadesOf(instance, rescaleOf(instance, index), viewer.used(), instance.isInverse !== viewer.isInverted);
  const shades = Uint32Array.from(table, (shade) => (0xff000000 | (shade << 16) | (shade << 8) | shade) >>> 0);
  const target = new Uint32Array(plateImage.data.buffer);
  const { stored } = pixels;
  const shift = instance.highBit + 1 - instance.bitsStored;
  const mask = (1 << instance.bitsStored) - 1;
  for (let at = 0; at < target.length; at += 1) target[at] = shades[(stored[at] >> shift) & mask];
  if (viewer.hasOverlays) {
    for (const plane of pixels.overlays) {
      for (let row = 0; row < plane.rows; row += 1) {
        const y = row + plane.top;
        if (y < 0 || y >= rows) continue;
        for (let column = 0; column < plane.columns; column += 1) {
          const bit = plane.start + row * plane.columns + column;
          const x = column + plane.left;
          if ((plane.data[bit >> 3] >> (bit & 7)) & 1 && x >= 0 && x < columns) target[y * columns + x] = 0xffffffff;
        }
      }
    }
  }
  plateContext.putImageData(plateImage, 0, 0);
  return plate;
}

let drawing = 0;
function draw() {
  if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; paint(); });
}

// Where the image is on the canvas: left, top and size of a pixel, in those of the canvas.
function placement(source, aspect) {
  const canvas = $("canvas");
  const height = source.height * aspect;
  const scale = Math.min(canvas.width / source.width, canvas.height / height) * viewer.zoom;
  const ratio = devicePixelRatio || 1;
  return {
    left: (canvas.width - source.width * scale) / 2 + viewer.pan[0] * ratio,
    top: (canvas.height - height * scale) / 2 + viewer.pan[1] * ratio,
    across: scale,
    down: scale * aspect,
  };
}

function paint() {
  const canvas = $("canvas");
  const ratio = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  const { shown } = viewer;
  canvas.dataset.frame = shown ? String(viewer.frames.indexOf(shown.frame) + 1) : "";
  if (!shown) {
    canvas.setAttribute("aria-label", "No image");
    setText($("stage-left"), "");
    setText($("stage-right"), "");
    return;
  }
  const { instance } = shown.frame;
  const source = shown.pixels.bitmap ?? develop(shown);
  const place = placement(source, instance.aspect);
  viewer.source = { width: source.width, height: source.height };
  context.imageSmoothingEnabled = place.across < 4;
  context.imageSmoothingQuality = "high";
  if (shown.pixels.bitmap && viewer.isInverted) context.filter = "invert(1)";
  context.drawImage(source, place.left, place.top, source.width * place.across, source.height * place.down);
  context.filter = "none";
  const used = instance.isGray ? viewer.used() : null;
  const digits = used && Math.abs(used.width) < 10 ? 2 : 0;
  for (const [id, value] of [["window-center", used?.center], ["window-width", used?.width]]) {
    const field = $(id);
    field.disabled = value === undefined;
    if (document.activeElement !== field) field.value = value === undefined ? "" : value.toFixed(digits);
  }
  $("window-preset").disabled = !instance.isGray;
  $("overlays").disabled = !instance.hasOverlays;
  const lines = [`${Math.round((place.across / ratio) * 100)} %`];
  if (used) lines.push(`C ${used.center.toFixed(digits)}  W ${used.width.toFixed(digits)}`);
  setText($("stage-right"), lines.join("\n"));
  setText($("stage-left"), [viewer.pointed, `${instance.columns} × ${instance.rows}`].filter(Boolean).join("\n"));
  const label = [`Image ${viewer.at + 1} of ${viewer.frames.length}`, study.model ? patientOf(study.model) : "", text(instance.model, "0008103E")];
  canvas.setAttribute("aria-label", label.filter(Boolean).join(", "));
}

new ResizeObserver(draw).observe($("stage"));

function fillPresets(instance) {
  const select = $("window-preset");
  const options = [["", "Choose…"], ["default", "As stored"]];
  if (instance) {
    const own = windowsOf(instance, 0);
    if (own.length > 1) own.forEach((one, at) => options.push([`${one.center}|${one.width}`, one.name]));
    if (text(instance.model, "00080060") === "CT") PRESETS.forEach(([name, center, width]) => options.push([`${center}|${width}`, name]));
  }
  select.replaceChildren(...options.map(([value, name]) => make("option", { value }, name)));
}

$("window-preset").addEventListener("change", (event) => {
  const [center, width] = event.target.value.split("|").map(Number);
  if (event.target.value === "default") {
    viewer.window = null;
    viewer.redo();
  } else if (event.target.value) viewer.setWindow(center, width);
  event.target.value = "";
});
for (const id of ["window-center", "window-width"]) {
  $(id).addEventListener("change", () => {
    const [center, width] = ["window-center", "window-width"].map((one) => Number($(one).value));
    if (Number.isFinite(center) && width > 0) viewer.setWindow(center, width);
  });
}

function zoom(factor, x = null, y = null) {
  const stage = $("stage").getBoundingClientRect();
  const before = viewer.zoom;
  viewer.zoom = clamp(before * factor, 0.1, 40);
  const change = viewer.zoom / before;
  // What is under the pointer stays there.
  const from = [(x ?? stage.left + stage.width / 2) - stage.left - stage.width / 2, (y ?? stage.top + stage.height / 2) - stage.top - stage.height / 2];
  viewer.pan = viewer.pan.map((value, at) => from[at] - (from[at] - value) * change);
  draw();
}

function toggleOverlays() {
  viewer.hasOverlays = !viewer.hasOverlays;
  $("overlays").setAttribute("aria-pressed", viewer.hasOverlays);
  viewer.redo();
}

function toggleInvert() {
  viewer.isInverted = !viewer.isInverted;
  $("invert").setAttribute("aria-pressed", viewer.isInverted);
  draw();
}

function reset() {
  viewer.resetView();
  viewer.redo();
}

$("zoom-in").addEventListener("click", () => zoom(1.25));
$("zoom-out").addEventListener("click", () => zoom(0.8));
$("reset").addEventListener("click", reset);
$("invert").addEventListener("click", toggleInvert);
$("overlays").addEventListener("click", toggleOverlays);
$("play").addEventListener("click", () => (viewer.playing ? viewer.stop() : viewer.play()));
$("frame").addEventListener("input", (event) => viewer.show(Number(event.target.value) - 1));

let turned = 0;
$("stage").addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.ctrlKey) {
    zoom(Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
    return;
  }
  turned += event.deltaMode === 0 ? event.deltaY / 60 : event.deltaY;
  const steps = Math.trunc(turned);
  turned -= steps;
  if (steps) viewer.show(viewer.at + clamp(steps, -5, 5));
}, { passive: false });

function shiftWindow(byCenter, byWidth) {
  const used = viewer.shown && viewer.used();
  if (!used) return;
  viewer.setWindow(used.center + byCenter * used.width, used.width * (1 + byWidth));
}

const KEYS = {
  ArrowDown: () => viewer.show(viewer.at + 1),
  ArrowRight: () => viewer.show(viewer.at + 1),
  ArrowUp: () => viewer.show(viewer.at - 1),
  ArrowLeft: () => viewer.show(viewer.at - 1),
  PageDown: () => viewer.show(viewer.at + 10),
  PageUp: () => viewer.show(viewer.at - 10),
  Home: () => viewer.show(0),
  End: () => viewer.show(viewer.frames.length - 1),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  ",": () => shiftWindow(-0.05, 0),
  ".": () => shiftWindow(0.05, 0),
  "<": () => shiftWindow(0, -0.1),
  ">": () => shiftWindow(0, 0.1),
  " ": () => (viewer.playing ? viewer.stop() : viewer.play()),
  i: toggleInvert,
  o: toggleOverlays,
  r: reset,
};
$("stage").addEventListener("keydown", (event) => {
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  action();
});

// Dragging: one pointer does what the tool says, two zoom and pan.
const pointers = new Map();
let dragged = null;

$("stage").addEventListener("pointerdown", (event) => {
  if (event.button === 2) return;
  $("stage").setPointerCapture(event.pointerId);
  $("stage").focus({ preventScroll: true });
  pointers.set(event.pointerId, event);
  const tool = document.querySelector('input[name="tool"]:checked').value;
  const isPan = event.button === 1 || event.shiftKey;
  const used = viewer.shown && viewer.used();
  dragged = { tool: isPan ? "pan" : tool, x: event.clientX, y: event.clientY, used, pan: viewer.pan, at: viewer.at };
});

$("stage").addEventListener("pointermove", (event) => {
  point(event);
  if (!pointers.has(event.pointerId)) return;
  if (pointers.size === 2) {
    const [one, other] = [...pointers.values()];
    const before = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = [(one.clientX + other.clientX) / 2, (one.clientY + other.clientY) / 2];
    pointers.set(event.pointerId, event);
    const [now, then] = [...pointers.values()];
    const after = Math.hypot(now.clientX - then.clientX, now.clientY - then.clientY);
    const moved = [(now.clientX + then.clientX) / 2, (now.clientY + then.clientY) / 2];
    viewer.pan = viewer.pan.map((value, at) => value + moved[at] - middle[at]);
    zoom(before ? after / before : 1, ...moved);
    dragged = null;
    return;
  }
  pointers.set(event.pointerId, event);
  if (!dragged) return;
  const across = event.clientX - dragged.x;
  const down = event.clientY - dragged.y;
  if (dragged.tool === "pan") {
    viewer.pan = [dragged.pan[0] + across, dragged.pan[1] + down];
    draw();
  } else if (dragged.tool === "scroll") {
    viewer.show(dragged.at + Math.trunc(down / 12));
  } else if (dragged.used) {
    // A drag over 400 pixels doubles the width, or moves the center by it.
    const { center, width } = dragged.used;
    viewer.setWindow(center + (down * width) / 400, width * Math.exp(across / 400 * Math.LN2 * 2));
  }
});

function release(event) {
  pointers.delete(event.pointerId);
  dragged = null;
}
$("stage").addEventListener("pointerup", release);
$("stage").addEventListener("pointercancel", release);
$("stage").addEventListener("pointerleave", () => {
  viewer.pointed = "";
  draw();
});

// The value under the pointer.
function point(event) {
  const { shown } = viewer;
  if (!shown?.pixels.stored || !viewer.source) return;
  const { instance, index } = shown.frame;
  const place = placement(viewer.source, instance.aspect);
  const stage = $("stage").getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  const x = Math.floor(((event.clientX - stage.left) * ratio - place.left) / place.across);
  const y = Math.floor(((event.clientY - stage.top) * ratio - place.top) / place.down);
  viewer.pointed = "";
  if (x >= 0 && y >= 0 && x < instance.columns && y < instance.rows) {
    const { slope, intercept } = rescaleOf(instance, index);
    const value = storedValue(instance, shown.pixels.stored[y * instance.columns + x]) * slope + intercept;
    const unit = text(instance.model, "00080060") === "CT" ? " HU" : "";
    viewer.pointed = `${x}, ${y}: ${Number(value.toFixed(2))}${unit}`;
  }
  draw();
}

// --- tags ----------------------------------------------------------------------------------

const LONGEST_VALUE = 400;
const MOST_ROWS = 4000;
const names = new Map();
const uidNames = new Map();

const tags = {
  instance: null,
  rows: [],
  isOpen: true,

  async show(instance) {
    if (instance === this.instance) return;
    this.instance = instance;
    if (!instance) {
      this.rows = [];
      this.fill();
      return;
    }
    if (this.isOpen) await this.read(instance);
  },

  async read(instance) {
    const rows = [];
    flatten(instance.model, 0, rows);
    const unknown = [...new Set(rows.map((row) => row.tag))].filter((tag) => tag && !names.has(tag));
    const uids = [...new Set(rows.filter((row) => row.vr === "UI").flatMap((row) => row.uids))].filter((uid) => !uidNames.has(uid));
    for (let at = 0; at < Math.max(unknown.length, uids.length); at += 100) {
      const query = new URLSearchParams({ tags: unknown.slice(at, at + 100).join(), uids: uids.slice(at, at + 40).join() });
      const found = await server.json(`api/dictionary?${query}`).catch(() => ({ tags: {}, uids: {} }));
      unknown.slice(at, at + 100).forEach((tag) => names.set(tag, found.tags[tag] ?? ["", ""]));
      uids.slice(at, at + 40).forEach((uid) => uidNames.set(uid, found.uids[uid] ?? ""));
    }
    if (instance !== this.instance) return;
    for (const row of rows) {
      const [keyword, name] = names.get(row.tag) ?? ["", ""];
      row.keyword = keyword;
      row.name = row.title ?? (name || (row.tag && parseInt(row.tag.slice(0, 4), 16) % 2 ? "Private" : ""));
      if (row.vr === "UI") {
        row.value = row.uids.map((uid) => (uidNames.get(uid) ? `${uid} (${uidNames.get(uid)})` : uid)).join("\n");
      }
      row.all = `${row.shown} ${row.tag} ${row.name} ${row.keyword} ${row.value}`.toLowerCase();
    }
    this.rows = rows;
    this.fill();
  },

  fill() {
    const words = $("tags-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.rows.filter((row) => words.every((word) => row.all.includes(word)));
    $("tags-body").replaceChildren(...found.map((row) => {
      const line = make("tr", {}, make("td", {}, row.shown), make("td", { title: row.keyword || undefined }, row.name), make("td", {}, row.vr), make("td", {}, row.value));
      if (row.depth) line.firstElementChild.style.setProperty("--depth", row.depth);
      return line;
    }));
    $("tags-empty").hidden = found.length > 0 || !words.length;
    if (words.length) announce(`${plural(found.length, "tag")} found`);
  },
};

function flatten(model, depth, rows) {
  for (const tag of Object.keys(model).sort()) {
    if (rows.length >= MOST_ROWS) return;
    const element = model[tag];
    const shown = `(${tag.slice(0, 4)},${tag.slice(4)})`;
    const found = element.Value ?? [];
    const row = { tag, shown, vr: element.vr, depth, value: "", uids: [] };
    rows.push(row);
    if (element.vr === "SQ") {
      row.value = plural(found.length, "item");
      found.forEach((item, at) => {
        rows.push({ tag: "", shown: `Item ${at + 1}`, title: "", vr: "", depth: depth + 1, value: "", uids: [] });
        flatten(item ?? {}, depth + 1, rows);
      });
    } else if (element.BulkDataURI) row.value = "bulk data";
    else if (element.InlineBinary !== undefined) row.value = `${plural(Math.floor((element.InlineBinary.replace(/=+$/, "").length * 3) / 4), "byte")}`;
    else if (element.vr === "UI") row.uids = found.map(String);
    else {
      const whole = (element.vr === "PN" ? found.map((one) => [one?.Alphabetic, one?.Ideographic, one?.Phonetic].filter(Boolean).join(" = ")) : found.map((one) => one ?? "")).join("\\");
      row.value = whole.length > LONGEST_VALUE ? `${whole.slice(0, LONGEST_VALUE)}…` : whole;
    }
  }
}

$("tags-search").addEventListener("input", later(() => tags.fill(), 80));
$("tags-button").addEventListener("click", () => setTags(!tags.isOpen));

function setTags(isOpen) {
  tags.isOpen = isOpen;
  $("tags-button").setAttribute("aria-pressed", isOpen);
  $("tags-panel").hidden = !isOpen;
  $("workspace").classList.toggle("no-tags", !isOpen);
  if (isOpen && tags.instance) tags.read(tags.instance);
}

// --- uploads -------------------------------------------------------------------------------

const BATCH_FILES = 20;
const BATCH_BYTES = 32 * 1024 * 1024;
const MOST_PROBLEMS = 200;
const REASONS = {
  0x0110: "it could not be stored", 0x0111: "another object with its UID is stored already", 0x0122: "its SOP class is not taken",
  0xa700: "there is no room", 0xa900: "it is not what it says", 0xc000: "it cannot be understood", 0xc409: "it is of another study",
};

const uploads = {
  waiting: [],
  total: 0,
  sent: 0,
  stored: 0,
  refused: 0,
  isBusy: false,

  async add(files) {
    if (!files.length) return;
    if (!this.isBusy && !this.waiting.length) {
      Object.assign(this, { total: 0, sent: 0, stored: 0, refused: 0 });
      $("uploads-problems").replaceChildren();
    }
    $("uploads").hidden = false;
    for (const file of files) {
      const isDicom = file.size > 132 && (await file.slice(128, 132).text().catch(() => "")) === "DICM";
      if (file.name.toUpperCase() === "DICOMDIR") continue;
      if (isDicom) {
        this.waiting.push(file);
        this.total += file.size;
      } else this.problem(file.name, "it is no DICOM file");
    }
    this.tell();
    if (!this.isBusy) await this.run();
  },

  async run() {
    this.isBusy = true;
    while (this.waiting.length) {
      const batch = [];
      let size = 0;
      while (this.waiting.length && batch.length < BATCH_FILES && (!batch.length || size + this.waiting[0].size <= BATCH_BYTES)) {
        const file = this.waiting.shift();
        batch.push(file);
        size += file.size;
      }
      try {
        const answer = await this.send(batch, (part) => {
          $("uploads-progress").value = this.total ? (this.sent + part * size) / this.total : 1;
        });
        this.judge(batch, answer);
      } catch (error) {
        for (const file of batch) this.problem(file.name, error.message);
      }
      this.sent += size;
      this.tell();
    }
    this.isBusy = false;
    this.tell();
    announce(this.text());
  },

  send(batch, progress) {
    return new Promise((resolve, reject) => {
      const boundary = `dicom-actors-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
      const parts = batch.flatMap((file) => [`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, "\r\n"]);
      const request = new XMLHttpRequest();
      request.open("POST", "dicom-web/studies");
      for (const [name, value] of Object.entries(server.headers({ Accept: "application/dicom+json" }))) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", `multipart/related; type="application/dicom"; boundary=${boundary}`);
      request.upload.addEventListener("progress", (event) => event.total && progress(event.loaded / event.total));
      request.addEventListener("load", () => {
        let answer = null;
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // Refusals of the whole are a line of text.
        }
        if (answer) resolve(answer);
        else reject(new Error(request.responseText.trim() || `status ${request.status}`));
      });
      request.addEventListener("error", () => reject(new Error("the server cannot be reached")));
      request.addEventListener("abort", () => reject(new Error("it was stopped")));
      request.send(new Blob([...parts, `--${boundary}--\r\n`]));
    });
  },

  judge(batch, answer) {
    const failed = values(answer, "00081198");
    const others = values(answer, "0008119A");
    this.stored += values(answer, "00081199").length;
    for (const item of [...failed, ...others]) {
      const code = number(item, "00081197", 0);
      const name = batch.length === 1 ? batch[0].name : text(item, "00081155") || "one of them";
      this.problem(name, REASONS[code] ?? `reason ${code.toString(16).toUpperCase().padStart(4, "0")}H`);
    }
  },

  problem(name, why) {
    this.refused += 1;
    if ($("uploads-problems").childElementCount < MOST_PROBLEMS) $("uploads-problems").append(make("li", {}, `${name}: ${why}`));
  },

  text() {
    const told = [plural(this.stored, "object") + " stored"];
    if (this.refused) told.push(`${this.refused} refused`);
    if (this.isBusy) told.push(`${bytes(this.sent)} of ${bytes(this.total)}`);
    return told.join(", ");
  },

  tell() {
    setText($("uploads-text"), this.text());
    $("uploads-progress").value = this.total ? this.sent / this.total : 1;
  },
};

async function filesOf(transfer) {
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) found.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); }));
    else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
        if (!some.length) return;
        for (const one of some) await walk(one);
      }
    }
  };
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files]; // gone after the first wait
  if (!entries.length) return files;
  for (const entry of entries) await walk(entry).catch((error) => uploads.problem(entry.name, error.message));
  return found;
}

const hasFiles = (event) => server.may?.can_store && [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  $("drop").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").hidden = true;
});
addEventListener("drop", async (event) => {
  $("drop").hidden = true;
  if (!hasFiles(event)) return;
  event.preventDefault();
  uploads.add(await filesOf(event.dataTransfer));
});
$("upload-button").addEventListener("click", () => $("upload-input").click());
$("upload-input").addEventListener("change", (event) => {
  uploads.add([...event.target.files]).then(() => { event.target.value = ""; });
});
$("uploads-close").addEventListener("click", () => { $("uploads").hidden = true; });

// --- the system ----------------------------------------------------------------------------

const MOST_SAMPLES = 60;
const MOST_LINES = 200;

const system = {
  samples: [], // objects and bytes in a second, by the server's clock
  last: null,
  queuesDue: 0,

  take(state) {
    const { last } = this;
    if (last && state.time > last.time) {
      const seconds = state.time - last.time;
      this.samples.push(["objects", "bytes"].map((name) => Math.max(0, state.totals[name] - last.totals[name]) / seconds));
      if (this.samples.length > MOST_SAMPLES) this.samples.shift();
    }
    this.last = state;
    const { endpoint, archive } = state;
    $("banner").hidden = !endpoint || endpoint.state === "running";
    if (endpoint && endpoint.state !== "running") setText($("banner"), `The endpoint is ${endpoint.state}: no new association is accepted.`);
    if (archive) setText($("studies-total"), `${plural(archive.studies, "study", "studies")}, ${plural(archive.instances, "object")}, ${bytes(archive.bytes)}`);
    if (!$("system-view").hidden) this.show();
  },

  show() {
    const state = this.last;
    if (!state) return;
    const { endpoint, archive, totals } = state;
    const [objects, size] = this.samples.at(-1) ?? [0, 0];
    const cards = [
      ["Endpoint", endpoint ? endpoint.state : "none", endpoint ? `port ${endpoint.port}` : ""],
      ["Associations", state.association_count, endpoint ? `${endpoint.associations_opened.toLocaleString("en")} so far` : ""],
      ["Storing", `${objects < 10 && objects % 1 ? objects.toFixed(1) : Math.round(objects)} / s`, `${bytes(size)} / s`],
      ["Stored since the start", totals.objects.toLocaleString("en"), bytes(totals.bytes)],
      ["Failed requests", totals.failures.toLocaleString("en"), endpoint ? `of ${endpoint.requests.toLocaleString("en")}` : ""],
      ["Restarts", sumOf(state.trees, "restarts").toLocaleString("en"), "of all actors"],
      ["Archive", archive ? plural(archive.studies, "study", "studies") : "not answering", archive ? `${plural(archive.instances, "object")}, ${bytes(archive.bytes)}` : ""],
      ["Disk", archive ? archive.disk : "–", archive ? `${bytes(archive.free_bytes)} free` : ""],
    ];
    arrange($("cards"), cards, (card) => card[0], ([name]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("span"), make("small"))), (card, [name, value, more]) => {
      const [main, small] = card.lastElementChild.children;
      setText(main, value);
      setText(small, more);
      if (name === "Storing") spark(card, this.samples.map(([count]) => count));
    });
    const isRunning = endpoint?.state === "running";
    $("suspend").disabled = $("drain").disabled = !isRunning;
    $("resume").disabled = !endpoint || isRunning;
    this.showTree(state.trees);
    this.showAssociations(state);
    setText($("requests-count"), state.request_count || "");
    $("requests-empty").hidden = state.request_count > 0;
    arrange($("requests-body"), state.requests, (one) => one.id, () => line(5, 2, 3, 4), (row, one) => {
      fill(row, [one.peer, `${one.method} ${one.path}`, bytes(one.received), bytes(one.sent), duration(one.seconds)]);
    });
  },

  showTree(trees) {
    const rows = [];
    const walk = (node, depth, path) => {
      const key = `${path}/${node.name}`;
      rows.push({ ...node, depth, key });
      node.children.forEach((child, at) => walk(child, depth + 1, `${key}#${at}`));
      if (node.left_out) rows.push({ name: `${node.left_out} more`, state: "", restarts: "", queue: "", error: "", depth: depth + 1, key: `${key}/more` });
    };
    trees.forEach((tree, at) => walk(tree, 0, at));
    arrange($("tree-body"), rows, (row) => row.key, () => {
      const row = line(5, 2, 3);
      row.children[1].append(make("span", { className: "state" }));
      return row;
    }, (row, node) => {
      const [name, state, restarts, queue, error] = row.children;
      name.style.setProperty("--depth", node.depth);
      name.classList.toggle("supervisor", node.kind === "supervisor");
      setText(name, node.name);
      state.firstElementChild.hidden = !node.state;
      state.firstElementChild.dataset.state = node.state;
      setText(state.firstElementChild, node.state);
      setText(restarts, node.restarts);
      restarts.classList.toggle("some", node.restarts > 0);
      setText(queue, node.queue);
      setText(error, node.error);
    });
  },

  showAssociations(state) {
    const count = state.association_count;
    setText($("associations-count"), count > state.associations.length ? `${state.associations.length} of ${count}` : count || "");
    $("associations").hidden = count === 0;
    $("associations-empty").hidden = count > 0;
    arrange($("associations-body"), state.associations, (one) => one.id, (one) => {
      const row = line(8, 5, 6);
      if (server.may?.can_operate) {
        row.lastElementChild.append(make("button", { type: "button", className: "danger", "aria-label": `Abort association ${one.id}`, onclick: () => abort(one) }, "Abort"));
      }
      return row;
    }, (row, one) => {
      fill(row, [one.id, one.calling || "–", one.called || "–", one.peer + (one.is_secure ? " (TLS)" : ""), one.state, one.requests, duration(one.seconds)]);
    });
  },

  log(lines) {
    const list = $("log");
    for (const one of lines) {
      const time = new Date(one.time * 1000);
      list.prepend(make("li", { "data-kind": one.kind }, make("time", { datetime: time.toISOString() }, time.toLocaleTimeString("en-GB")), make("span", {}, one.text)));
    }
    while (list.childElementCount > MOST_LINES) list.lastElementChild.remove();
    $("log-empty").hidden = list.childElementCount > 0;
    const crashes = lines.filter((one) => one.kind === "crashed");
    if (crashes.length) announce(crashes.map((one) => one.text).join("; "));
  },

  async queues() {
    if (!server.may?.has_queues || $("system-view").hidden) return;
    if (performance.now() < this.queuesDue) return;
    this.queuesDue = performance.now() + 3000;
    try {
      const answer = await server.json("api/queues");
      if (!Array.isArray(answer)) throw new Error(answer.error);
      const rows = answer;
      $("queues-body").replaceChildren(...rows.map(queueRow));
      $("queues").hidden = rows.length === 0;
      $("queues-empty").hidden = rows.length > 0;
    } catch (error) {
      setText($("queues-empty"), `They cannot be read: ${error.message}`);
      $("queues-empty").hidden = false;
    }
  },
};

function queueRow(row) {
  const counts = [row.waiting, row.committing, row.set_aside, row.delivered];
  const state = row.is_paused ? "paused" : row.waiting || row.committing ? "sending" : "idle";
  const oldest = row.oldest === null ? "" : moment(new Date(row.oldest * 1000));
  return make("tr", {},
    make("td", {}, row.destination),
    make("td", {}, state),
    ...counts.map((count) => make("td", { class: "number" }, count.toLocaleString("en"))),
    make("td", {}, oldest),
    make("td", {}, row.last_error ?? ""));
}

function moment(time) {
  const two = (value) => String(value).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return make("time", { datetime: time.toISOString() }, `${date} ${time.toLocaleTimeString("en-GB")}`);
}

function sumOf(trees, name) {
  return trees.reduce((sum, tree) => sum + tree[name] + sumOf(tree.children, name), 0);
}

function line(count, ...numbers) {
  return make("tr", {}, ...Array.from({ length: count }, (_, at) => make("td", { className: numbers.includes(at) ? "number" : "" })));
}

function fill(row, texts) {
  texts.forEach((value, at) => setText(row.children[at], value));
}

const SVG = "http://www.w3.org/2000/svg";
function spark(card, counts) {
  let picture = card.querySelector("svg");
  if (!picture) {
    picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", `0 0 ${MOST_SAMPLES} 20`);
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("aria-hidden", "true");
    picture.append(document.createElementNS(SVG, "polyline"));
    card.lastElementChild.append(picture);
  }
  const top = Math.max(1, ...counts);
  const first = MOST_SAMPLES - counts.length;
  picture.firstElementChild.setAttribute("points", counts.map((count, at) => `${first + at},${19 - (18 * count) / top}`).join(" "));
}

async function operate(path, body, told) {
  try {
    await server.operate(path, body);
    announce(told);
  } catch (error) {
    complain(error.message);
  }
}

$("suspend").addEventListener("click", () => operate("api/operations/suspend", {}, "The endpoint is suspended."));
$("resume").addEventListener("click", () => operate("api/operations/resume", {}, "The endpoint is running."));
$("drain").addEventListener("click", async () => {
  const seconds = await confirm("Drain the endpoint?", "No new association is accepted. Those that are open may finish, and are aborted after the time below.", "Drain", true);
  if (seconds !== false) operate("api/operations/drain", { deadline: seconds }, "The endpoint drains.");
});
async function abort(one) {
  const who = `Association ${one.id} of ${one.calling || "a peer"} at ${one.peer} will be aborted.`;
  if (await confirm("Abort this association?", who, "Abort")) operate(`api/associations/${one.id}/abort`, {}, `Association ${one.id} was aborted.`);
}

// --- live events ---------------------------------------------------------------------------

const refresh = later((changed) => {
  if (!$("studies-view").hidden) studies.load({ isLive: true });
  else if (!$("study-view").hidden && (!changed || changed.includes(study.uid))) study.load();
}, 150);

const live = {
  changed: [],

  set(state, told) {
    $("link").dataset.state = state;
    setText($("link-text"), told);
  },

  handle(kind, value) {
    if (kind === "state") {
      system.take(value);
      system.queues();
    } else if (kind === "log") {
      if (this.isFirst) $("log").replaceChildren();
      this.isFirst = false;
      system.log(value);
    } else if (kind === "studies") {
      this.changed = value && this.changed ? [...this.changed, ...value] : null;
      refresh(this.changed);
      setTimeout(() => { this.changed = []; }, 1000);
    } else if (kind === "lost") refresh(null);
  },

  async follow() {
    const response = await server.fetch("api/events", { accept: "text/event-stream" });
    this.set("live", "live");
    this.isFirst = true;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = new Map(block.split("\n").map((one) => [one.slice(0, one.indexOf(":")), one.slice(one.indexOf(":") + 1).trim()]));
        if (fields.has("event")) this.handle(fields.get("event"), JSON.parse(fields.get("data")));
      }
    }
  },

  async run() {
    for (let pause = 500; ;) {
      const began = performance.now();
      try {
        await this.follow();
      } catch {
        // It is told below, and tried again.
      }
      pause = performance.now() - began > 5000 ? 500 : Math.min(pause * 2, 15000);
      this.set("off", "not connected");
      await new Promise((resolve) => { setTimeout(resolve, pause); });
      refresh(null);
    }
  },
};

// --- the way around ------------------------------------------------------------------------

const VIEWS = { studies: "studies-view", study: "study-view", system: "system-view" };

async function go(isFirst = false) {
  const [, kind = "studies", uid = "", series = ""] = location.hash.split("/");
  const isUid = (one) => /^[0-9.]{1,64}$/.test(one);
  const view = kind === "study" && isUid(uid) ? "study" : kind === "system" ? "system" : "studies";
  const isOther = $(VIEWS[view]).hidden;
  for (const [name, id] of Object.entries(VIEWS)) $(id).hidden = name !== view;
  $("nav-studies").toggleAttribute("aria-current", false);
  $("nav-system").toggleAttribute("aria-current", false);
  $(view === "system" ? "nav-system" : "nav-studies").setAttribute("aria-current", view === "study" ? "true" : "page");
  document.title = `${view === "system" ? "System" : "Studies"} – dicom-actors`;
  if (view !== "study") viewer.stop();
  if (isOther && !isFirst) $("main").focus({ preventScroll: false });
  if (view === "studies") await studies.load();
  else if (view === "system") {
    system.show();
    system.queues();
  } else await study.open(uid, isUid(series) ? series : "");
}

$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});

async function begin() {
  if (matchMedia("(max-width: 75rem)").matches) setTags(false);
  try {
    const known = await server.json("page.json");
    server.needsToken = known.needs_token;
    $("token-button").hidden = !known.needs_token;
    if (known.needs_token && !sessionStorage.getItem(TOKEN)) await askToken();
    await server.learn();
  } catch (error) {
    complain(`The server cannot be reached: ${error.message}`);
  }
  live.run();
  addEventListener("hashchange", () => go());
  await go(true);
  document.documentElement.dataset.ready = "yes";
}

begin();
