// Behaviour of the page that Gradio's components do not have: boxes that choose a face, two films in step, copying.
(() => {
  const parts = (inside) => {
    const result = inside.closest('.result');
    return {
      result,
      before: result.querySelector('figure:first-child video'),
      after: result.querySelector('figure:last-child video'),
      play: result.querySelector('.play'),
      seek: result.querySelector('.seek'),
      clock: result.querySelector('.clock'),
      begin: Number(result.dataset.begin),
      end: Number(result.dataset.end || Infinity),
      second: Number(result.dataset.second),
    };
  };

  // The second of the film that the dub shows: the part that is used plays there and back.
  const filmTime = ({before, after, begin, end, second}) => {
    const length = Math.min(end, before.duration) - begin;
    const turned = (second + after.currentTime) % (2 * length);
    return {time: begin + Math.min(turned, 2 * length - turned, length - 0.001), backwards: turned >= length};
  };

  // The film before follows the film after, which has the sound. Browsers cannot play backwards: there it jumps.
  const follow = (all, closely) => {
    const {before, after} = all;
    if (!before || !before.duration) return;
    const {time, backwards} = filmTime(all);
    const tolerance = closely || backwards ? 0.001 : 0.12;
    if (!before.seeking && Math.abs(before.currentTime - time) > tolerance) before.currentTime = time;
    const moving = !after.paused && !backwards;
    if (moving && before.paused) before.play().catch(() => {});
    if (!moving && !before.paused) before.pause();
    if (backwards && !after.paused) requestAnimationFrame(() => follow(all, true));
  };

  const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

  const update = (all, closely) => {
    follow(all, closely);
    const length = all.after.duration || 0;
    all.play.textContent = all.after.paused ? 'Play' : 'Pause';
    all.play.setAttribute('aria-label', all.after.paused ? 'Play both' : 'Pause both');
    all.seek.max = length;
    all.seek.value = all.after.currentTime;
    all.clock.textContent = `${minutes(all.after.currentTime)} / ${minutes(length)}`;
  };

  const isAfter = (video) => video.matches?.('.result figure:last-child video');
  for (const name of ['play', 'pause', 'ended', 'timeupdate', 'seeked', 'loadedmetadata']) {
    document.addEventListener(
      name,
      (event) => {
        if (isAfter(event.target)) update(parts(event.target), event.target.paused);
        else if (name === 'loadedmetadata' && event.target.matches?.('.result video')) update(parts(event.target), true);
      },
      true, // these events do not bubble
    );
  }

  // Of a film whose pictures it does not know, a browser plays the sound alone, or nothing.
  const isBefore = (target) => target.matches?.('.result figure:first-child :is(video, img)');
  const admit = (target) => {
    const line = document.createElement('p');
    line.className = 'note';
    const shown = target.matches('img') ? 'picture' : 'film';
    line.textContent = `This browser cannot show the ${shown} as it was; the dub beside it is right.`;
    target.replaceWith(line);
  };
  document.addEventListener('error', (event) => isBefore(event.target) && admit(event.target), true);
  document.addEventListener(
    'loadedmetadata',
    ({target}) => {
      if (isBefore(target) && !target.videoWidth) admit(target);
      const shape = `${target.videoWidth} / ${target.videoHeight}`;
      if (isAfter(target)) parts(target).result.style.setProperty('--shape', shape);
    },
    true,
  );

  document.addEventListener('input', (event) => {
    if (!event.target.matches('.result .seek')) return;
    const all = parts(event.target);
    all.after.currentTime = Number(event.target.value);
    update(all, true);
  });

  const markChosen = () => {
    const options = [...document.querySelectorAll('#who input')];
    const chosen = options.findIndex((option) => option.checked);
    const faces = [...document.querySelectorAll('#sight .face')];
    const everybody = chosen === faces.length + 1; // after the faces come the most prominent, and everybody
    faces.forEach((face, k) => face.setAttribute('aria-pressed', String(everybody || k === chosen)));
  };
  document.addEventListener('change', (event) => {
    if (event.target.closest('#who')) markChosen();
  });

  // An example is chosen as long as it is what one sees or hears, and can save.
  const markExamples = () => {
    const chosen = [...document.querySelectorAll(':is(#sight, #heard) a[download]')].map((link) => link.download);
    document.querySelectorAll('.example').forEach((example) => {
      example.setAttribute('aria-pressed', String(chosen.includes(example.dataset.example)));
    });
  };

  // Files that are too large are refused before they travel, where one looks.
  const refuse = (event) => {
    const zone = event.target.closest?.('#face-file, #speech-file');
    const files = event.target.files || event.dataTransfer?.files;
    if (!zone || !files?.length) return;
    zone.parentElement.querySelector(':scope > .too-large')?.remove();
    const most = Number(document.querySelector('[data-megabytes]').dataset.megabytes);
    const large = [...files].find((file) => file.size > most * 1e6);
    if (!large) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const line = document.createElement('p');
    line.className = 'note bad too-large';
    line.setAttribute('role', 'alert');
    line.textContent = `${large.name} is larger than ${most} MB: give a smaller file`;
    zone.after(line);
    if (event.target.files) event.target.value = '';
  };
  document.addEventListener('change', refuse, true);
  document.addEventListener('drop', refuse, true);

  const copy = async (button) => {
    const code = button.parentElement.querySelector('code');
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(code); // the address is not trusted: the user presses Ctrl-C
      button.textContent = 'Selected: press Ctrl-C';
    }
    setTimeout(() => (button.textContent = 'Copy the command'), 2000);
  };

  // What has come is shown, also where the page is longer than the screen.
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  let shown = '';
  new MutationObserver(() => {
    markExamples();
    const video = document.querySelector('#result .result figure:last-child video');
    if (!video || video.src === shown) return;
    shown = video.src;
    document.querySelector('#step-result').scrollIntoView({behavior: calm.matches ? 'auto' : 'smooth', block: 'start'});
  }).observe(document, {childList: true, subtree: true});

  document.addEventListener('click', (event) => {
    const face = event.target.closest('#sight .face');
    if (face) document.querySelectorAll('#who input')[Number(face.dataset.face)]?.click();
    const play = event.target.closest('.result .play');
    if (play) {
      const {after} = parts(play);
      if (after.paused) after.play();
      else after.pause();
    }
    const command = event.target.closest('.result .copy');
    if (command) copy(command);
  });
})();
