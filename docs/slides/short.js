// With ?45 in the address the slides marked "90 minutes only" are left out.
if (new URLSearchParams(window.location.search).has('45')) {
  document.querySelectorAll('section[data-state="cut"]').forEach(slide => slide.remove());
}
