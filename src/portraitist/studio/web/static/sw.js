// The service worker: a page for when there is no line, the studio's own files kept by version, and pushes shown.
// Pages, pictures and answers of the API are members' things: they are never kept here.

const VERSION = new URL(location.href).searchParams.get("v") ?? "0";
const CACHE = `studio-${VERSION}`;
const AWAY = "/offline";
const WORDS = "/notices/words";

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll([AWAY, "/static/studio.css", "/static/icon.svg", WORDS]);
    await event.addRoutes?.({ condition: { urlPattern: "/api/*" }, source: "network" }); // a wall's pictures pass by this script
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await self.registration.navigationPreload?.enable();
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || address.origin !== location.origin) return;
  if (event.request.mode === "navigate") event.respondWith(page(event).catch(() => caches.match(AWAY)));
  else if (address.pathname.startsWith("/static/")) event.respondWith(file(event.request));
});

// Asked for by the browser itself while this script was still starting, where it can.
async function page(event) {
  return (await event.preloadResponse) ?? fetch(event.request);
}

// The line first, so that a file is never older than the page that asks for it.
async function file(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok && answer.type === "basic") (await caches.open(CACHE)).put(request, answer.clone());
    return answer;
  } catch (broken) {
    const kept = await caches.match(request);
    if (kept) return kept;
    throw broken;
  }
}

self.addEventListener("push", (event) => event.waitUntil(show(event.data?.json() ?? {})));

async function show({ kind, path }) {
  const words = await (await fetch(WORDS).catch(() => caches.match(WORDS)))?.json().catch(() => null);
  const { title = "Portraitist", body = "" } = words?.[kind] ?? {};
  const options = { body, icon: "/static/icon.svg", badge: "/static/icon.svg", tag: kind, data: { path } };
  await self.registration.showNotification(title, options);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.path ?? "/notices"));
});

async function open(path) {
  const address = new URL(path, location.origin);
  if (address.origin !== location.origin) return;
  const windows = await self.clients.matchAll({ type: "window" });
  const [first] = windows;
  if (!first) return self.clients.openWindow(address.href);
  await first.focus();
  await first.navigate(address.href);
}
