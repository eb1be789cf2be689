// With ?45 in the address the slides marked "90 minutes only" are left out, and with them the stacks that they leave empty.
if (new URLSearchParams(window.location.search).has('45')) {
  document.querySelectorAll('section[data-state="cut"]').forEach(slide => {
    const stack = slide.parentElement;
    slide.remove();
    if (stack.tagName === 'SECTION' && !stack.querySelector('section')) stack.remove();
  });
}
