// The page of the VMS: a grid of all streams. RTSP streams are shown by their last key frame, RTMP
// streams play by HLS. Names come from publishers, so they only ever become text, never markup.
"use strict";

const LOOK_EVERY_MS = 2000;
const STALE_S = 10;
const grid = document.getElementById("grid");
const tiles = new Map();

function tile(name, tag) {
  let found = tiles.get(name);
  if (!found) {
    const figure = document.createElement("figure");
    const picture = document.createElement(tag);
    const caption = document.createElement("figcaption");
    const title = document.createElement("b");
    const facts = document.createElement("span");
    title.textContent = name;
    caption.append(title, facts);
    figure.append(picture, caption);
    grid.append(figure);
    found = { figure, picture, facts };
    tiles.set(name, found);
  }
  return found;
}

function inUrl(path) {
  return path.split("/").map(encodeURIComponent).join("/");
}

async function showRecorded() {
  const streams = await (await fetch("streams")).json();
  let live = 0;
  for (const [path, counts] of Object.entries(streams)) {
    const up = counts.connected && counts.last_frame_age_s !== null && counts.last_frame_age_s < STALE_S;
    const { figure, picture, facts } = tile(path.replace(/^\/live\//, ""), "img");
    figure.className = up ? "" : "down";
    facts.textContent = `${counts.codec} · ${counts.frames} frames` + (up ? "" : " · no picture");
    if (up) picture.src = `snapshot${inUrl(path)}.jpg?${counts.key_frames}`;
    live += up;
  }
  return [live, Object.keys(streams).length];
}

async function showRtmp() {
  const text = await (await fetch("stat")).text();
  const statistics = new DOMParser().parseFromString(text, "text/xml");
  let live = 0;
  for (const stream of statistics.querySelectorAll("application > live > stream")) {
    const name = stream.querySelector("name").textContent;
    const { figure, picture, facts } = tile(`rtmp: ${name}`, "video");
    const up = stream.querySelector("publishing") !== null;
    figure.className = up ? "" : "down";
    facts.textContent = `${stream.querySelector("bytes_in").textContent} bytes`;
    if (up && !picture.dataset.playing) play(picture, `hls/${encodeURIComponent(name)}.m3u8`);
    live += up;
  }
  return live;
}

function play(video, url) {
  video.dataset.playing = "yes";
  video.muted = video.autoplay = true;
  if (!window.Hls || !window.Hls.isSupported()) {
    video.src = url;
    return;
  }
  const hls = new window.Hls();
  hls.on(window.Hls.Events.ERROR, (_event, data) => {
    if (data.fatal) {
      hls.destroy();
      delete video.dataset.playing;  // tried again at the next look, when the stream is still there
    }
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

async function look() {
  try {
    const [[live, known], rtmp] = await Promise.all([showRecorded(), showRtmp()]);
    document.getElementById("none").hidden = tiles.size > 0;
    document.getElementById("sum").textContent = `${live} of ${known} by RTSP, ${rtmp} by RTMP`;
  } catch (error) {
    document.getElementById("sum").textContent = `The VMS does not answer: ${error.message}`;
  }
  setTimeout(look, LOOK_EVERY_MS);
}

look();
